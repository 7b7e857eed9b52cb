//! Reports of results that are made here, so that every count is known.

use ledgerstone::checkpoint::{Checkpoint, LogKeys};
use ledgerstone::evidence::Selection;
use ledgerstone::hash::Hash;
use ledgerstone::merkle::TreeSize;
use numbers::Numbers;

use super::*;
use crate::audit::results::{self, Decision, Head, Line, Tail};
use crate::audit::verdict::{Difference, Verdict};
use crate::audit::{
    Draw, Found, Given, Method, Plan, PlanFile, Proof, Reveal, StrataFile, Stratification, Stratum, redo,
};

/// Numbers that look random and are the same each time.
mod numbers {
    pub(super) struct Numbers(pub(super) u64);

    impl Numbers {
        pub(super) fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }
    }
}

const ORIGIN: &str = "log.example.com/lending";

fn keys(name: &str) -> LogKeys {
    LogKeys::generate_from_seeds(&name.parse().unwrap(), [5; 32], [6; 32]).unwrap()
}

fn good(leaf_index: u64) -> Decision {
    Decision {
        leaf_index,
        verdict: Verdict::Exact,
        reasons_differ: false,
        adverse: Some(leaf_index.is_multiple_of(3)),
        scores: vec![(Some(0.25), Some(0.25))],
        distance: None,
        reasons_unchecked: None,
        differences: Vec::new(),
    }
}

fn bad(leaf_index: u64) -> Decision {
    Decision {
        verdict: Verdict::OutcomeFlips,
        scores: vec![(Some(0.25), Some(0.75))],
        differences: vec![Difference::between("output/label", Some("approve"), Some("deny"))],
        ..good(leaf_index)
    }
}

/// Whole results; the counts are those of the lines.
fn lines(selection: Selection, entries: u64, decisions: &[Decision]) -> String {
    let head = Head {
        format: results::FORMAT.into(),
        program: "ledgerstone 0.1.0".into(),
        origin: ORIGIN.into(),
        tree_size: 1 << 20,
        root: "ab".repeat(32),
        checkpoint_verified: true,
        selection,
        models: Vec::new(),
        registrations: 0,
    };
    let mut tail = Tail { entries, bundle_sha256: "cd".repeat(32), ..Tail::default() };
    decisions.iter().for_each(|decision| tail.count(decision));
    let decisions = decisions.iter().map(|decision| Line::Decision(Box::new(decision.clone())));
    let lines = [Line::Head(Box::new(head))].into_iter().chain(decisions).chain([Line::Tail(Box::new(tail))]);
    lines.map(|line| serde_json::to_string(&line).unwrap() + "\n").collect()
}

/// Results of a whole range, every decision `bad` that `is_bad` says.
fn census(count: u64, is_bad: impl Fn(u64) -> bool) -> String {
    let decisions: Vec<_> = (0..count).map(|at| if is_bad(at) { bad(at) } else { good(at) }).collect();
    lines(Selection::Range { first_index: 0, last_index: count - 1 }, count, &decisions)
}

fn report_of(results: &str) -> Report {
    assemble(results.as_bytes(), None).unwrap()
}

fn plan(method: Method, tolerable: &str, expected: &str, allowed: u64) -> Plan {
    let value = Hash::of(b"secret");
    Plan {
        checkpoint: Checkpoint {
            origin: ORIGIN.parse().unwrap(),
            size: TreeSize::new(5000),
            root: Hash::of(b"root"),
        },
        first: 0,
        last: 4999,
        method,
        tolerable: tolerable.parse().unwrap(),
        confidence: "95%".parse().unwrap(),
        expected: expected.parse().unwrap(),
        allowed,
        profile: None,
        pass_ambiguous: false,
        strata: None,
        beacons: vec![format!("nonce:regulator:{}", Hash::of(value.as_bytes())).parse().unwrap()],
    }
}

/// The draw of a plan from a log whose every tenth entry is no decision.
fn draw(plan: &Plan) -> (Draw, Vec<u8>) {
    draw_from(plan, None)
}

fn draw_from(plan: &Plan, strata: Option<&StrataFile>) -> (Draw, Vec<u8>) {
    let reveal = Reveal { beacon: plan.beacons[0].clone(), value: Hash::of(b"secret"), proof: Proof::Nonce };
    let drawn = redo(plan, Given { reveals: &[reveal], chain: None, strata }, |indices| {
        Ok::<_, std::convert::Infallible>(indices.iter().map(|index| index % 10 != 0).collect())
    });
    let draw = drawn.unwrap();
    let mut bytes = Vec::new();
    draw.write(&mut bytes).unwrap();
    (draw, bytes)
}

fn basis(plan: &Plan, bytes: &[u8]) -> Basis {
    basis_from(plan, bytes, None)
}

fn basis_from(plan: &Plan, bytes: &[u8], strata: Option<&StrataFile>) -> Basis {
    let text = PlanFile::sign(plan, &keys("auditor.example.org")).unwrap();
    let file = PlanFile::parse(text.as_bytes()).unwrap();
    Basis::new(file, true, bytes, Sources { chain: None, strata }).unwrap()
}

/// The results of a draw, of which the decisions at these places are exceptions.
fn drawn_results(draw: &Draw, bytes: &[u8], exceptions: &[usize]) -> String {
    let (listed, drawn) = draw.listed();
    let entries = listed.len() as u64;
    let selection = Selection::Draw {
        sha256: Hash::of(bytes).to_string(),
        tree_size: 5000,
        drawn,
        skipped: entries - drawn,
    };
    let decision = |(place, index): (usize, &u64)| match exceptions.contains(&place) {
        true => bad(*index),
        false => good(*index),
    };
    let decisions: Vec<_> =
        listed[..usize::try_from(drawn).unwrap()].iter().enumerate().map(decision).collect();
    lines(selection, entries, &decisions)
}

#[test]
fn a_census_is_exact_and_needs_no_bound() {
    let report = report_of(&census(300, |at| at == 7 || at == 9));
    assert_eq!(
        (report.finding.coverage, report.finding.conclusion),
        (Coverage::Census, Conclusion::Exceptions)
    );
    assert_eq!((report.counts.decisions, report.counts.exceptions), (300, 2));
    assert_eq!(report.finding.upper_bound, None);
    assert_eq!(report.counts.strata.adverse, Share { decisions: 100, exceptions: 1 });
    assert_eq!(report.counts.strata.not_adverse, Share { decisions: 200, exceptions: 1 });
    assert_eq!((report.scores.rows, report.scores.equal), (300, 298));
    let half = report.scores.differences.iter().find(|bin| bin.rows > 0).unwrap();
    assert_eq!((half.below.as_deref(), half.rows), (Some("1"), 2));
    assert_eq!(report.exceptions.iter().map(|exception| exception.leaf_index).collect::<Vec<_>>(), [7, 9]);
    assert!(report.claims.headline.starts_with("2 of 300 recorded decisions do not follow"));
    recheck(&report).unwrap();
}

#[test]
fn a_tolerance_that_the_plan_did_not_name_makes_no_report() {
    let named = Hash::of(b"profile");
    let plan = Plan { profile: Some(named), ..plan(Method::Fixed, "1%", "0%", 0) };
    let (draw, bytes) = draw(&plan);
    let basis = basis(&plan, &bytes);
    let results = drawn_results(&draw, &bytes, &[]);
    let with = |sha256: &str| {
        let model = format!(
            r#""models":[{{"digest":"00","profile":{{"sha256":"{sha256}","quantity":"vector","tau":0.1,"same_machine":true}}}}]"#
        );
        assert!(results.contains(r#""models":[]"#));
        assemble(results.replace(r#""models":[]"#, &model).as_bytes(), Some(&basis))
    };
    with(&named.to_string()).unwrap();
    let other = with(&Hash::of(b"another").to_string()).unwrap_err();
    assert!(matches!(other, ReportError::Apart(what) if what.contains("profile")), "{other}");
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let make = || {
        let report = report_of(&census(2000, |at| at % 100 == 1));
        let signed = report.sign(&keys("auditor.example.org")).unwrap();
        let pages = document(&report, &Hash::of(signed.as_bytes()).to_string(), "key");
        (signed, html(&pages), pdf(&pages))
    };
    assert_eq!(make(), make());
}

#[test]
fn results_with_changed_counts_are_refused() {
    let results = census(50, |at| at == 3);
    for (from, to) in [
        ("\"exceptions\":1", "\"exceptions\":0"),
        ("\"OUTCOME_FLIPS\":1", "\"OUTCOME_FLIPS\":2"),
        ("\"verdict\":\"OUTCOME_FLIPS\"", "\"verdict\":\"EXACT\""),
        ("\"entries\":50", "\"entries\":49"),
        ("\"last_index\":49", "\"last_index\":48"),
    ] {
        assert!(results.contains(from), "{from}");
        assert!(assemble(results.replace(from, to).as_bytes(), None).is_err(), "{to}");
    }
    let cut = &results[..results.len() - 20];
    assert!(matches!(assemble(cut.as_bytes(), None), Err(ReportError::Results(_))));
    let longer = format!("{results}{{\"through\":1}}");
    assert!(assemble(longer.as_bytes(), None).is_err());
}

#[test]
fn a_report_with_a_changed_number_fails() {
    let keys = keys("auditor.example.org");
    let report = report_of(&census(50, |at| at == 3));
    let signed = report.sign(&keys).unwrap();
    let file = ReportFile::parse(signed.as_bytes()).unwrap();
    assert_eq!(file.report(), &report);
    file.verify(&keys.vkeys()[0]).unwrap();
    let changed = signed.replacen("\"exceptions\": 1", "\"exceptions\": 0", 1);
    assert_ne!(changed, signed);
    let changed = ReportFile::parse(changed.as_bytes()).unwrap();
    assert!(matches!(changed.verify(&keys.vkeys()[0]), Err(ReportError::Signature(_))));
    assert!(recheck(changed.report()).is_err());
    // Whoever has the key can sign anything; the report's own sums still tell.
    for change in CHANGES {
        let mut other = report.clone();
        change(&mut other);
        assert!(recheck(&other).is_err());
        assert!(report.first_difference(&other).is_some());
    }
    assert!(matches!(report.sign(&self::keys(ORIGIN)), Err(ReportError::OwnKey)));
}

const CHANGES: [fn(&mut Report); 9] = [
    |report| report.counts.decisions += 1,
    |report| *report.counts.verdicts.get_mut(&Verdict::Exact).unwrap() -= 1,
    |report| report.counts.strata.adverse.decisions += 1,
    |report| report.counts.passes.push(Verdict::OutcomeFlips),
    |report| report.finding.conclusion = Conclusion::AllFollow,
    |report| report.finding.coverage = Coverage::Sample,
    |report| report.scores.equal -= 1,
    |report| report.exceptions.clear(),
    |report| report.claims.headline.push('!'),
];

#[test]
fn a_report_is_read_in_its_one_form_only() {
    let text = report_of(&census(5, |_| false)).to_json().unwrap();
    assert_eq!(Report::parse(&text).unwrap().to_json().unwrap(), text);
    for other in [
        text.replace("  ", " "),
        text.trim_end().to_owned(),
        text.replacen("audit-report/v1", "audit-report/v2", 1),
        text.replacen("\"program\"", "\"programme\"", 1),
    ] {
        assert!(Report::parse(&other).is_err());
    }
}

#[test]
fn the_page_fetches_nothing_and_escapes_what_is_hostile() {
    let hostile = "<script>alert(1)</script><img src=x onerror=\"a\">&'\u{202e}\u{1b}[31m";
    let mut decision = bad(0);
    decision.differences = vec![Difference::between(hostile, Some(hostile), Some(hostile))];
    let mut results = lines(Selection::Range { first_index: 0, last_index: 0 }, 1, &[decision]);
    results = results.replace(ORIGIN, "log<b>\\\"&");
    let report = report_of(&results);
    let page = html(&document(&report, "00", "key<i>"));
    for forbidden in [
        "<script", "<img", "<b>", "<i>", "http:", "https:", " src=\"", "href", "url(", "@import", "\u{202e}",
        "\u{1b}",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("log&lt;b&gt;&quot;&amp;"));
    assert!(page.contains("default-src 'none'"));
    let svgs = page.matches("<svg").count();
    assert!(svgs >= 3);
    assert_eq!((page.matches("<title").count(), page.matches("<desc").count()), (svgs + 1, svgs));
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
}

#[test]
fn the_pages_for_paper_are_a_whole_pdf() {
    let report = report_of(&census(3000, |at| at % 20 == 1));
    let file = pdf(&document(&report, "00", "key"));
    assert!(file.starts_with(b"%PDF-1.") && file.ends_with(b"%%EOF"));
    let text = String::from_utf8_lossy(&file).into_owned();
    assert!(text.matches("/Type /Page\n").count() >= 4);
    // Every place that the table of objects names holds that object.
    let at = |mark: &str| file.windows(mark.len()).rposition(|window| window == mark.as_bytes()).unwrap();
    let start: usize = text[text.rfind("startxref").unwrap() + 10..].lines().next().unwrap().parse().unwrap();
    assert_eq!(&file[start..start + 4], b"xref");
    let table = String::from_utf8(file[start..at("trailer")].to_vec()).unwrap();
    let mut objects = 0;
    for (number, line) in table.lines().skip(2).enumerate() {
        let (offset, kind) = (line[..10].parse::<usize>().unwrap(), &line[17..18]);
        if kind == "n" {
            assert!(file[offset..].starts_with(format!("{number} 0 obj").as_bytes()), "object {number}");
            objects += 1;
        }
    }
    assert!(objects > 10);
}

#[test]
fn a_sequential_plan_concludes_as_whoever_looks_after_each_decision() {
    let plan = plan(Method::Sequential, "5%", "1%", 3);
    let (draw, bytes) = draw(&plan);
    let basis = basis(&plan, &bytes);
    let mut numbers = Numbers(7);
    let mut seen = std::collections::BTreeSet::new();
    for count in [0, 0, 1, 2, 3, 4, 5, 6, 8, 12, 30] {
        let mut exceptions: Vec<usize> = (0..count)
            .map(|_| usize::try_from(numbers.below(draw.sample.drawn.len() as u64)).unwrap())
            .collect();
        exceptions.sort_unstable();
        exceptions.dedup();
        let report = assemble(drawn_results(&draw, &bytes, &exceptions).as_bytes(), Some(&basis)).unwrap();
        recheck(&report).unwrap();
        let naive = (0..=draw.sample.drawn.len()).find_map(|decisions| {
            let exceptions = exceptions.iter().filter(|place| **place < decisions).count() as u64;
            let found = Found { decisions: decisions as u64, exceptions, is_all: false };
            match plan.conclude(found).unwrap() {
                crate::audit::Conclusion::GoOn => None,
                crate::audit::Conclusion::Shown => Some((Conclusion::Shown, decisions as u64)),
                crate::audit::Conclusion::NotShown => Some((Conclusion::NotShown, decisions as u64)),
            }
        });
        let (conclusion, after) = naive.unwrap();
        assert_eq!((report.finding.conclusion, report.finding.concluded_after), (conclusion, Some(after)));
        seen.insert(format!("{conclusion:?}"));
    }
    assert_eq!(seen.len(), 2, "both conclusions come up");
}

#[test]
fn a_fixed_plan_states_the_bound_of_clopper_and_pearson() {
    let plan = plan(Method::Fixed, "1%", "0%", 0);
    let (draw, bytes) = draw(&plan);
    let report = assemble(drawn_results(&draw, &bytes, &[]).as_bytes(), Some(&basis(&plan, &bytes))).unwrap();
    assert_eq!((report.finding.coverage, report.finding.conclusion), (Coverage::Sample, Conclusion::Shown));
    assert_eq!(report.counts.decisions, 299);
    // 1 - 0.05^(1/299), rounded up to a billionth.
    assert_eq!(report.finding.upper_bound.as_deref(), Some("0.9969147%"));
    recheck(&report).unwrap();
    let missed =
        assemble(drawn_results(&draw, &bytes, &[100]).as_bytes(), Some(&basis(&plan, &bytes))).unwrap();
    assert_eq!(missed.finding.conclusion, Conclusion::NotShown);
}

/// A plan with a large stratum, of which a sample is drawn, and a small one, of which all is.
fn stratified(method: Method) -> (Plan, StrataFile) {
    let of = |index: u64| if index.is_multiple_of(20) { "reviewed" } else { "declined" };
    let lines: String = (0..5000)
        .filter(|index| index % 4 == 1 || index % 20 < 2)
        .map(|index| format!("{index} {}\n", of(index - index % 2)))
        .collect();
    let file = StrataFile::parse(lines.as_bytes()).unwrap();
    let stratum = |name: &str, tolerable: &str| Stratum {
        name: name.into(),
        tolerable: tolerable.parse().unwrap(),
        allowed: 0,
    };
    let strata = vec![stratum("declined", "20%"), stratum("reviewed", "0.4%")];
    let strata = Some(Stratification { file: file.digest(), strata });
    let expected = if method == Method::Fixed { "0%" } else { "0.1%" };
    (Plan { strata, ..plan(method, "2%", expected, 0) }, file)
}

#[test]
fn each_sample_of_a_plan_with_strata_is_judged_by_itself() {
    for method in [Method::Fixed, Method::Sequential] {
        let (plan, file) = stratified(method);
        let (draw, bytes) = draw_from(&plan, Some(&file));
        let basis = basis_from(&plan, &bytes, Some(&file));
        let (listed, drawn) = draw.listed();
        let whole = draw.sample.drawn.len();
        let report_with = |exceptions: &[usize]| {
            let report = assemble(drawn_results(&draw, &bytes, exceptions).as_bytes(), Some(&basis)).unwrap();
            recheck(&report).unwrap();
            report
        };
        let honest = report_with(&[]);
        let samples = honest.samples.as_ref().unwrap();
        assert_eq!(samples.all.decisions, whole as u64);
        assert_eq!(honest.counts.decisions, drawn);
        assert!(honest.counts.decisions > samples.all.decisions);
        let coverages = samples.strata.iter().map(|sample| sample.finding.coverage).collect::<Vec<_>>();
        assert_eq!(coverages, [Coverage::Sample, Coverage::Census]);
        let mut conclusions = samples.strata.iter().map(|sample| sample.finding.conclusion);
        assert!(conclusions.all(|conclusion| conclusion == Conclusion::Shown));

        // An exception that was drawn for a stratum alone says nothing of the sample of all.
        let alone = (whole..usize::try_from(drawn).unwrap())
            .find(|place| draw.strata[0].drawn.contains(&listed[*place]))
            .unwrap();
        let report = report_with(&[alone]);
        let samples = report.samples.as_ref().unwrap();
        assert_eq!(report.finding, honest.finding);
        assert_eq!(samples.all.exceptions, 0);
        assert_eq!(samples.strata[0].share.exceptions, 1);
        if method == Method::Fixed {
            assert_eq!(samples.strata[0].finding.conclusion, Conclusion::NotShown);
            assert!(
                report.claims.headline.contains("The rate planned for the stratum declined was not shown.")
            );
        }
        let page = html(&document(&report, "sha", "key"));
        assert!(page.contains("The samples of the plan") && page.contains("declined"));

        // One that both samples drew counts in both, at its place in each draw.
        let shared = draw.sample.drawn.iter().position(|index| draw.strata[1].drawn.contains(index)).unwrap();
        let samples = report_with(&[shared]).samples.unwrap();
        assert_eq!((samples.all.exceptions, samples.strata[1].share.exceptions), (1, 1));
        assert_eq!(samples.strata[1].finding.conclusion, Conclusion::NotShown);

        let mut changed = report.clone();
        changed.samples.as_mut().unwrap().strata[0].finding.conclusion = Conclusion::Shown;
        assert!(
            method == Method::Sequential
                || matches!(recheck(&changed), Err(ReportError::Part("the samples")))
        );
        changed.samples = None;
        assert!(recheck(&changed).is_err());
    }
}

#[test]
fn results_of_another_draw_make_no_report() {
    let plan = plan(Method::Fixed, "10%", "0%", 0);
    let (draw, bytes) = draw(&plan);
    let basis = basis(&plan, &bytes);
    let refused =
        |results: &str| matches!(assemble(results.as_bytes(), Some(&basis)), Err(ReportError::Apart(_)));
    let results = drawn_results(&draw, &bytes, &[]);
    assert!(!refused(&results));
    let mut swapped = draw.clone();
    swapped.sample.drawn.swap(0, 1);
    assert!(refused(&drawn_results(&swapped, &bytes, &[])));
    let mut shorter = draw.clone();
    shorter.sample.drawn.pop();
    assert!(refused(&drawn_results(&shorter, &bytes, &[])));
    assert!(refused(&results.replace(&Hash::of(&bytes).to_string(), &"00".repeat(32))));
    assert!(refused(&census(10, |_| false)));
    let mut other = Vec::new();
    swapped.write(&mut other).unwrap();
    let text = plan.to_json().unwrap();
    let file = PlanFile::parse(text.as_bytes()).unwrap();
    assert!(matches!(Basis::new(file, false, &other, Sources::default()), Err(BasisError::Other)));
    let report = assemble(results.as_bytes(), None).unwrap();
    assert_eq!(report.finding.coverage, Coverage::UnplannedSample);
    assert_eq!(report.finding.upper_bound, None);
}

#[test]
fn a_label_that_hangs_on_rounding_is_never_said_to_follow() {
    let mut decisions: Vec<_> = (0..10).map(good).collect();
    decisions[4].verdict = Verdict::MarginAmbiguous;
    let report = report_of(&lines(Selection::Range { first_index: 0, last_index: 9 }, 10, &decisions));
    assert_eq!(report.counts.exceptions, 0);
    assert!(
        !report.claims.headline.contains("follow") && report.claims.headline.contains("hangs on rounding")
    );
    assert!(
        report
            .claims
            .establishes
            .iter()
            .any(|point| point.starts_with("For 9 decisions the recorded outcome"))
    );
    recheck(&report).unwrap();
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "x".repeat(400);
    let decisions: Vec<_> = (0..11_000)
        .map(|at| Decision { differences: vec![Difference::obstacle(&long); 10], ..bad(at) })
        .collect();
    let report =
        report_of(&lines(Selection::Range { first_index: 0, last_index: 10_999 }, 11_000, &decisions));
    assert_eq!(report.counts.exceptions, 11_000);
    assert!(report.exceptions.len() > 1000 && report.exceptions_left_out > 0);
    assert_eq!(report.scores.points.len(), 500);
    assert_eq!(
        report.exceptions[0].differences.len()
            + usize::try_from(report.exceptions[0].differences_left_out).unwrap(),
        10
    );
    assert!(report.course.len() <= 150);
    recheck(&report).unwrap();
    let signed = report.sign(&keys("auditor.example.org")).unwrap();
    assert!(signed.len() < REPORT_BYTES_MAX);
    ReportFile::parse(signed.as_bytes()).unwrap();
    assert!(html(&document(&report, "00", "key")).len() < 1 << 20);
}
