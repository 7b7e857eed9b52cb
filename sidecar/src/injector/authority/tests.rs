use super::*;

const DAY: u64 = 86_400;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub(in crate::injector) fn terms() -> Terms {
    crate::tls::install_crypto_provider();
    Terms {
        authority: Duration::from_secs(30 * DAY),
        serving: Duration::from_secs(9 * DAY),
        settle: Duration::from_secs(180),
        names: vec!["loans.lending.svc".into(), "127.0.0.1".into()],
    }
}

/// 2026-11-18.
const NOW: u64 = 1_795_000_000;

fn read(files: Files) -> Option<Material> {
    Material::read(files, &terms())
}

#[test]
fn what_is_drawn_verifies_for_every_name_and_is_read_again() {
    let drawn = Material::draw(at(NOW), &terms()).unwrap();
    let again = read(drawn.files().unwrap()).unwrap();
    assert_eq!(again.bundle(), drawn.bundle());
    assert_eq!(again.expires(), Some(NOW + 9 * DAY));
    assert_eq!(again.step(at(NOW), &terms(), true), Step::Keep);
    let pair = again.pair(at(NOW), &terms()).unwrap();
    assert!(pair.certificate.contains("BEGIN CERTIFICATE") && pair.key.contains("PRIVATE KEY"));
    let other = Terms { names: vec!["other.lending.svc".into()], ..terms() };
    assert!(drawn.pair(at(NOW), &other).is_none(), "another name");
    assert!(drawn.pair(at(NOW + 10 * DAY), &terms()).is_none(), "too late");
    assert!(drawn.pair(at(NOW - DAY), &terms()).is_none(), "too early");
    assert!(drawn.pair(at(NOW - 200), &terms()).is_some(), "a clock that is late");
}

#[test]
fn a_certificate_is_exchanged_after_two_thirds_of_its_life() {
    let drawn = Material::draw(at(NOW), &terms()).unwrap();
    let step = |days| drawn.step(at(NOW + days * DAY), &terms(), true);
    assert_eq!([step(0), step(5), step(6), step(9)], [Step::Keep, Step::Keep, Step::Serving, Step::Serving]);
    let later = drawn.with_serving(at(NOW + 6 * DAY), &terms()).unwrap();
    assert_eq!(later.expires(), Some(NOW + 15 * DAY));
    assert_eq!(later.step(at(NOW + 6 * DAY), &terms(), true), Step::Keep);
}

#[test]
fn an_authority_is_told_and_settled_before_what_it_signs_is_served() {
    let old = Material::draw(at(NOW), &terms()).unwrap();
    let old = old.with_serving(at(NOW + 18 * DAY), &terms()).unwrap();
    let now = NOW + 20 * DAY;
    assert_eq!(old.step(at(now), &terms(), true), Step::Authority);
    let first = old.bundle();
    let both = old.with_authority(at(now), &terms()).unwrap();
    assert!(both.bundle().ends_with(&first) && both.bundle() != first, "both are trusted");
    assert!(both.pair(at(now), &terms()).is_some(), "what was served is served on");
    assert_eq!(both.step(at(now), &terms(), true), Step::Keep, "it has not settled");
    assert_eq!(both.step(at(now + 180), &terms(), false), Step::Keep, "the API server was not told");
    assert_eq!(both.step(at(now + 180), &terms(), true), Step::Serving);
    let both = read(both.files().unwrap()).unwrap();
    let exchanged = both.with_serving(at(now + 180), &terms()).unwrap();
    assert_eq!(exchanged.step(at(now + 180), &terms(), true), Step::Keep);
    assert!(exchanged.bundle().ends_with(&first), "the old one is trusted until it expires");
    // The old one alone does not vouch for the new certificate.
    let mut alone = exchanged.clone();
    alone.authorities.remove(0);
    assert!(alone.pair(at(now + 180), &terms()).is_none());
}

#[test]
fn authorities_that_expired_are_dropped_and_never_more_than_three_kept() {
    let mut material = Material::draw(at(NOW), &terms()).unwrap();
    for days in 1..=5 {
        material = material.with_authority(at(NOW + days * DAY), &terms()).unwrap();
    }
    assert_eq!(material.authorities.len(), AUTHORITIES_MAX);
    material = material.with_authority(at(NOW + 60 * DAY), &terms()).unwrap();
    assert_eq!(material.authorities.len(), 1, "the others expired");
}

#[test]
fn a_certificate_that_expired_is_exchanged_even_if_nothing_settled() {
    let material =
        Material::draw(at(NOW), &terms()).unwrap().with_authority(at(NOW + 9 * DAY), &terms()).unwrap();
    assert_eq!(material.step(at(NOW + 9 * DAY), &terms(), false), Step::Serving);
}

#[test]
fn a_clock_that_went_back_draws_again() {
    let drawn = Material::draw(at(NOW), &terms()).unwrap();
    assert_eq!(drawn.step(at(NOW - 400), &terms(), true), Step::Authority);
    assert_eq!(drawn.step(at(NOW - 200), &terms(), true), Step::Keep);
}

#[test]
fn what_does_not_fit_together_is_nothing() {
    let drawn = || Material::draw(at(NOW), &terms()).unwrap().files().unwrap();
    let other = drawn();
    assert!(read(Files::default()).is_none());
    assert!(read(Files { state: "{}".into(), ..drawn() }).is_none());
    assert!(read(Files { authority_key: String::new().into(), ..drawn() }).is_none());
    let with = |change: fn(&mut serde_json::Value)| {
        let mut files = drawn();
        let mut state = serde_json::from_str(&files.state).unwrap();
        change(&mut state);
        files.state = state.to_string();
        read(files)
    };
    assert!(with(|_| {}).is_some());
    assert!(with(|state| state["more"] = 1.into()).is_none());
    assert!(with(|state| state["authorities"] = serde_json::json!([])).is_none());
    assert!(with(|state| state["authorities"][0]["certificate"] = "x".into()).is_none());
    assert!(with(|state| state["authorities"][0]["expires"] = u64::MAX.into()).is_none());
    assert!(with(|state| state["authorities"][0]["drawn"] = (NOW + 60 * DAY).into()).is_none());
    // A certificate of another, or a key of another, is drawn again by the authority that is there.
    let unfit = [
        Files { certificate: other.certificate.clone(), key: other.key.clone(), ..drawn() },
        Files { key: other.key.clone(), ..drawn() },
        Files { certificate: String::new(), ..drawn() },
    ];
    for files in unfit {
        let material = read(files).unwrap();
        assert_eq!(material.step(at(NOW), &terms(), true), Step::Serving);
    }
    // The key of another authority signs nothing that verifies.
    let foreign = read(Files { authority_key: other.authority_key.clone(), ..drawn() }).unwrap();
    assert_eq!(foreign.with_serving(at(NOW), &terms()).unwrap_err(), AuthorityError::Unfit);
}

#[test]
fn names_that_are_none_are_refused() {
    for name in ["ä.example.com", "a b"] {
        let terms = Terms { names: vec![name.into()], ..terms() };
        assert!(Material::draw(at(NOW), &terms).is_err(), "{name}");
    }
}
