use super::*;

fn keys(seed: u8) -> LogKeys {
    LogKeys::generate_from_seeds(&"auditor.example".parse().unwrap(), [seed; 32], [seed + 1; 32]).unwrap()
}

fn profile() -> Profile {
    let digest = "ab".repeat(32);
    Profile {
        format: FORMAT.to_owned(),
        model: digest.clone(),
        quantity: "vector".to_owned(),
        engine: "candle 0.11.1".to_owned(),
        dtype: "f32".to_owned(),
        machine: Machine {
            target: "x86_64-linux".to_owned(),
            libm: "gnu".to_owned(),
            device: "cpu".to_owned(),
            instructions: vec!["avx2".to_owned()],
        },
        threads: vec![1, 2],
        batches: vec![1, 16],
        inputs: digest,
        honest: Honest::of(vec![0.0, 1e-7, 2.5e-7]),
        tau: default_tau(2.5e-7),
        tampers: vec![Detection::of("weights f16".to_owned(), &[1e-4, 2e-4, 1e-6], 5e-6)],
        attributions: None,
    }
}

#[test]
fn a_signed_profile_reads_back_and_no_byte_of_its_text_can_change() {
    let (keys, profile) = (keys(1), profile());
    let [key, _] = keys.vkeys();
    let signed = profile.sign(&keys).unwrap();
    assert_eq!(Profile::open(signed.as_bytes(), &key), Ok(profile.clone()));
    let [stranger, _] = self::keys(7).vkeys();
    assert!(matches!(Profile::open(signed.as_bytes(), &stranger), Err(ProfileError::Signature(_))));
    for place in 0..profile.to_text().len() {
        let mut bytes = signed.clone().into_bytes();
        bytes[place] ^= 1;
        assert!(Profile::open(&bytes, &key).is_err(), "byte {place}");
    }
}

#[test]
fn refuses_profiles_that_contradict_themselves() {
    let keys = keys(1);
    type Change = (fn(&mut Profile), &'static str);
    let changes: [Change; 8] = [
        (|profile| profile.tau = 1e-8, "a tolerance below the honest distances"),
        (|profile| profile.honest.p999 = 1.0, "a percentile above the greatest"),
        (|profile| profile.honest.count = 0, "nothing measured"),
        (|profile| profile.tampers[0].detected = 4, "more found than there were"),
        (|profile| profile.tampers[0].detected = 3, "all found, although one lies below"),
        (|profile| profile.tampers[0].min = -1.0, "a negative distance"),
        (|profile| profile.model = "ab".to_owned(), "no digest"),
        (|profile| profile.format = FORMAT.replace("v1", "v2"), "another version"),
    ];
    for (change, why) in changes {
        let mut bad = profile();
        change(&mut bad);
        let signed = bad.sign(&keys).unwrap();
        assert!(Profile::parse(signed.as_bytes()).is_err(), "{why}");
    }
    let spaced = keys.sign_text(profile().to_text().replace("\":", "\": ")).unwrap().to_string();
    assert_eq!(Profile::parse(spaced.as_bytes()).err(), Some(ProfileError::NotCanonical));
}

#[test]
fn the_tolerance_is_twenty_times_the_greatest_distance_and_two_digits_long() {
    for (max, tau) in
        [(2.5e-7, 5e-6), (2.27e-7, 4.6e-6), (2.25e-7, 4.5e-6), (4.96e-8, 1e-6), (0.0, 0.0), (1.0, 20.0)]
    {
        assert_eq!(default_tau(max).to_bits(), f64::to_bits(tau), "{max:e}: {:e}", default_tau(max));
    }
}

#[test]
fn the_percentile_is_the_nearest_rank() {
    let honest = Honest::of((1..=2000).rev().map(f64::from).collect());
    assert_eq!((honest.count, honest.max, honest.p999), (2000, 2000.0, 1998.0));
    assert_eq!(Honest::of(vec![3.0]).p999, 3.0);
}

#[test]
fn attributions_have_a_tolerance_of_their_own() {
    let keys = keys(1);
    let [key, _] = keys.vkeys();
    let with = |change: fn(&mut AttributionTolerance)| {
        let mut measured = AttributionTolerance {
            of: Numbers::Margins,
            index: 1,
            steps: 50,
            rule: Rule::GaussLegendre,
            baseline: Baseline::Pad,
            honest: Honest::of(vec![1e-8, 3e-8]),
            tau: 6e-7,
        };
        change(&mut measured);
        Profile { attributions: Some(measured), ..profile() }
    };
    let good = with(|_| {});
    assert_eq!(Profile::open(good.sign(&keys).unwrap().as_bytes(), &key), Ok(good.clone()));
    assert!(
        good.to_text()
            .contains(r#""attributions":{"of":"margins","index":1,"steps":50,"rule":"gausslegendre""#)
    );
    assert!(!profile().to_text().contains("attributions"), "others are written as before");
    type Change = fn(&mut AttributionTolerance);
    let changes: [Change; 4] = [
        |measured| measured.tau = 1e-8,
        |measured| measured.honest.p999 = 1.0,
        |measured| measured.honest.count = 0,
        |measured| measured.honest.max = -1.0,
    ];
    for change in changes {
        let signed = with(change).sign(&keys).unwrap();
        assert_eq!(Profile::open(signed.as_bytes(), &key), Err(ProfileError::Contradicts));
    }
}
