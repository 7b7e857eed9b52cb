//! Rules over decisions that are made up here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::error::Wrong;
use super::*;

/// What a decision has, by variable and name.
#[derive(Default)]
struct Made(BTreeMap<(Variable, String), Vec<Found<'static>>>);

impl Made {
    fn with(mut self, variable: Variable, name: &str, value: Val<'static>) -> Self {
        self.0.insert((variable, name.to_owned()), vec![Found::Value(value)]);
        self
    }

    fn found(mut self, variable: Variable, found: Found<'static>) -> Self {
        self.0.insert((variable, String::new()), vec![found]);
        self
    }

    fn rows(mut self, variable: Variable, name: &str, values: Vec<Val<'static>>) -> Self {
        self.0.insert((variable, name.to_owned()), values.into_iter().map(Found::Value).collect());
        self
    }
}

impl Source for Made {
    fn value(&self, variable: Variable, name: &str, row: usize) -> Found<'_> {
        let found = self.0.get(&(variable, name.to_owned()));
        found.and_then(|rows| rows.get(row).or(rows.first())).cloned().unwrap_or(Found::Absent)
    }
}

fn names() -> Names {
    let features = ["income", "debt ratio", "age"].map(str::to_owned).to_vec();
    Names { features, scores: vec!["predict".to_owned()], labels: true }
}

fn text(value: &'static str) -> Val<'static> {
    Val::Text(Cow::Borrowed(value))
}

fn decision() -> Made {
    Made::default()
        .with(Variable::InputFeature, "income", Val::Double(4200.0))
        .with(Variable::InputFeature, "debt ratio", Val::Double(0.25))
        .with(Variable::InputFeature, "age", Val::Int(40))
        .with(Variable::InputParameter, "consent", Val::Bool(true))
        .with(Variable::InputParameter, "note", text("Grüße"))
        .with(Variable::Purpose, "", text("credit"))
        .with(Variable::Route, "", text("loans"))
        .with(Variable::ModelName, "", text("loans-v3"))
        .with(Variable::ModelRegistered, "", Val::Bool(true))
        .with(Variable::TimeReceived, "", Val::Int(1_795_000_000_000))
        .with(Variable::OutputScore, "predict", Val::Double(0.75))
        .with(Variable::OutputLabel, "", text("approve"))
        .with(Variable::OutcomeAdverse, "", Val::Bool(false))
}

fn rule(text: &str) -> Program {
    compile(text, When::Answer, &names()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn verdict(text: &str) -> Result<bool, Fault> {
    rule(text).evaluate(1, &decision()).verdict
}

fn wrong(text: &str) -> Wrong {
    compile(text, When::Answer, &names()).map(|_| ()).unwrap_err().what
}

#[test]
fn gives_what_the_specification_says() {
    for text in [
        "true",
        "1 + 2 * 3 == 7",
        "-7 / 2 == -3 && -7 % 2 == -1",
        "7u / 2u == 3u",
        "0.1 + 0.2 != 0.3",
        "1.0 / 0.0 > 1.0e308",
        "1 == 1.0 && 1u == 1 && 1 != 1.5",
        "9223372036854775807 < 9223372036854775808u",
        "9007199254740993 != 9007199254740992.0",
        "'a' < 'b' && b'a' < b'b' && false < true",
        "'1' != 1 && null == null && [1, 2] == [1.0, 2u]",
        "'a' + 'b' == 'ab' && [1] + [2] == [1, 2]",
        "2 in [1, 2, 3] && !(4 in [1, 2, 3])",
        "[10, 20][1] == 20",
        "true ? true : 1 / 0 == 1",
        "false || true",
        "size('Grüße') == 5 && size(b'\\xff\\x00') == 2 && [1, 2].size() == 2",
        "'credit'.startsWith('cre') && 'credit'.endsWith('dit') && 'credit'.contains('red')",
        "'credit'.matches('^c.*t$') && matches('abc', 'b')",
        "int('-5') == -5 && int(2.9) == 2 && uint(3) == 3u && double(2) == 2.0 && string(12) == '12'",
        "[1, 2, 3].all(x, x > 0) && [1, 2, 3].exists(x, x == 2) && [1, 2, 3].exists_one(x, x == 2)",
        "[1, 2, 3].map(x, x * x) == [1, 4, 9] && [1, 2, 3].filter(x, x > 1) == [2, 3]",
        "[1, 2, 3].map(x, x > 1, x * 10) == [20, 30]",
        "[[1, 2], [3]].all(list, list.exists(x, x > 1))",
        "[].all(x, false) && ![].exists(x, true)",
        "input.feature.income > 4000.0 && input.feature['debt ratio'] < 0.4 && input.feature.age >= 18",
        "has(input.feature.age) && !has(input.parameter.other) && 'consent' in input.parameter",
        "input.feature.all(name, input.feature[name] > 0)",
        "size(input.feature) == 3",
        "purpose == 'credit' && tenant == null && model.registered",
        "output.label == 'approve' && output.score.predict >= 0.5 && !outcome.adverse",
        "input.parameter.note == 'Grüße'",
        "// who\n  route == 'loans'",
    ] {
        assert_eq!(verdict(text), Ok(true), "{text}");
    }
}

#[test]
fn closes_where_a_rule_cannot_be_evaluated() {
    let missing = |name: &str| Fault::Missing { name: name.to_owned() };
    for (text, fault) in [
        ("1 / 0 == 1", Fault::DivisionByZero),
        ("1 % 0 == 1", Fault::DivisionByZero),
        ("1u / 0u == 1u", Fault::DivisionByZero),
        ("9223372036854775807 + 1 > 0", Fault::Overflow),
        ("-9223372036854775807 - 2 < 0", Fault::Overflow),
        ("0u - 1u < 1u", Fault::Overflow),
        ("9223372036854775807 * 2 > 0", Fault::Overflow),
        ("(-9223372036854775807 - 1) / -1 > 0", Fault::Overflow),
        ("-(-9223372036854775807 - 1) > 0", Fault::Overflow),
        ("input.parameter.other == true", missing("input.parameter.other")),
        ("input.parameter['o t'] == true", missing("input.parameter[\"o t\"]")),
        ("input.feature['in' + 'come2'] > 0", missing("input.feature[\"...\"]")),
        ("caller.workload == 'x'", missing("caller.workload")),
        ("input.feature.age > 'x'", Fault::Types { what: ">", of: vec!["int", "string"] }),
        ("input.feature.age + 1.0 > 0", Fault::Types { what: "+", of: vec!["int", "double"] }),
        ("input.parameter.note && true", Fault::Types { what: "&&", of: vec!["string"] }),
        ("!input.feature.age", Fault::Types { what: "!", of: vec!["int"] }),
        ("input.feature.age in input.feature.age", Fault::Types { what: "in", of: vec!["int"] }),
        ("input.feature.age", Fault::NotBoolean { gave: "int" }),
        ("[1][1] == 1", Fault::NoSuchPlace),
        ("[1][-1] == 1", Fault::NoSuchPlace),
        ("int('x') == 1", Fault::Conversion { to: "int" }),
        ("int(1.0e30) == 1", Fault::Conversion { to: "int" }),
        ("uint(-1) == 1u", Fault::Conversion { to: "uint" }),
        ("[1, 0].all(x, 1 / x > 0)", Fault::DivisionByZero),
        ("[0].exists_one(x, 1 / x > 0)", Fault::DivisionByZero),
    ] {
        assert_eq!(verdict(text), Err(fault), "{text}");
    }
}

#[test]
fn what_cannot_be_known_is_no_no() {
    let source = || Made::default().found(Variable::ModelRegistered, Found::NotYet);
    for text in
        ["model.registered", "!model.registered", "has(model.registered)", "model.registered == false"]
    {
        let fault = Fault::NotYet { name: "model.registered" };
        assert_eq!(rule(text).evaluate(1, &source()).verdict, Err(fault), "{text}");
    }
    let masked = Made::default().found(Variable::OutputLabel, Found::Masked);
    let fault = Fault::Masked { name: "output.label".to_owned() };
    assert_eq!(rule("output.label == 'x'").evaluate(1, &masked).verdict, Err(fault));
}

#[test]
fn a_side_that_decides_makes_up_for_a_fault_of_the_other() {
    for (text, expected) in [
        ("1 / 0 == 1 && false", Ok(false)),
        ("false && 1 / 0 == 1", Ok(false)),
        ("1 / 0 == 1 || true", Ok(true)),
        ("1 / 0 == 1 && true", Err(Fault::DivisionByZero)),
        ("1 / 0 == 1 || false", Err(Fault::DivisionByZero)),
        ("[0, 1].exists(x, 1 / x == 1)", Ok(true)),
        ("[0, 2].all(x, 1 / x == 1)", Ok(false)),
        ("[0, 1].all(x, 1 / x == 1)", Err(Fault::DivisionByZero)),
    ] {
        assert_eq!(verdict(text), expected, "{text}");
    }
}

#[test]
fn is_evaluated_for_each_person_and_names_the_first_that_fails() {
    let ages = |ages: &[i64]| {
        Made::default().rows(Variable::InputFeature, "age", ages.iter().copied().map(Val::Int).collect())
    };
    let adult = rule("input.feature.age >= 18");
    assert!(adult.is_per_row());
    assert_eq!(adult.evaluate(3, &ages(&[20, 30, 40])).row, None);
    let outcome = adult.evaluate(3, &ages(&[20, 17, 16]));
    assert_eq!((outcome.verdict, outcome.row), (Ok(false), Some(1)));
    // A call about nobody satisfies nothing by that.
    assert_ne!(adult.evaluate(0, &ages(&[])).verdict, Ok(true));
    assert!(!rule("purpose == 'x'").is_per_row());
    assert_eq!(rule("purpose == 'x'").evaluate(3, &decision()).row, None);
}

#[test]
fn counts_the_same_steps_every_time_and_stops_at_the_limit() {
    let text = "[1, 2, 3].all(x, [1, 2, 3].exists(y, x == y))";
    let steps: Vec<u64> = (0..3).map(|_| rule(text).evaluate(1, &decision()).steps).collect();
    assert_eq!(steps, [steps[0]; 3]);
    assert!((10..60).contains(&steps[0]), "{steps:?}");

    let digits: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let list = format!("[{}]", digits.join(","));
    // 60 * 60 pairs, each compared with 60 items.
    let hostile = format!("{list}.all(x, {list}.all(y, (x + y + 1000) in {list} || true))");
    let outcome = rule(&hostile).evaluate(1, &decision());
    assert_eq!((outcome.verdict, outcome.steps), (Err(Fault::Steps), STEPS_MAX));
    assert_eq!(rule(&hostile).steps_max(), None);
    // A limit is not made up for by the other side.
    let hidden = format!("({hostile}) || true");
    assert_eq!(rule(&hidden).evaluate(1, &decision()).verdict, Err(Fault::Steps));
}

#[test]
fn persons_of_one_call_share_the_steps() {
    let rows = vec![Val::Int(1); 2048];
    let many = Made::default().rows(Variable::InputFeature, "age", rows);
    let digits: Vec<String> = (0..100).map(|n| (n + 2).to_string()).collect();
    let program = rule(&format!("!(input.feature.age in [{}])", digits.join(",")));
    assert!(program.steps_max().is_some_and(|most| most < STEPS_MAX));
    assert_eq!(program.evaluate(2048, &many).verdict, Err(Fault::Steps));
}

#[test]
fn texts_do_not_grow_past_the_limit() {
    let mut text = "input.parameter.note".to_owned();
    for _ in 0..15 {
        text = format!("({text} + {text})");
        if text.len() > 1500 {
            break;
        }
    }
    let long = Made::default().with(
        Variable::InputParameter,
        "note",
        Val::Text(Cow::Owned("x".repeat(TEXT_BYTES_MAX / 8))),
    );
    let outcome = rule(&format!("size({text}) > 0")).evaluate(1, &long);
    assert_eq!(outcome.verdict, Err(Fault::TextTooLong));
    let longer = Made::default().with(
        Variable::InputParameter,
        "note",
        Val::Text(Cow::Owned("x".repeat(TEXT_BYTES_MAX + 1))),
    );
    let outcome = rule("input.parameter.note != 'y'").evaluate(1, &longer);
    assert_eq!(outcome.verdict, Err(Fault::TextTooLong));
}

#[test]
fn refuses_what_is_no_rule_and_says_what_to_write() {
    let unknown = |name: &str, nearest: Option<&str>| Wrong::Unknown {
        name: name.to_owned(),
        nearest: nearest.map(str::to_owned),
    };
    for (text, expected) in [
        ("", Wrong::Empty),
        (" \n ", Wrong::Empty),
        ("modle.registered", unknown("modle.registered", Some("model.registered"))),
        ("input.feature.incom > 1.0", unknown("input.feature.incom", Some("input.feature.income"))),
        ("output.score.other > 1.0", unknown("output.score.other", None)),
        ("request.auth == 1", unknown("request.auth", None)),
        ("input.feature", Wrong::NotBoolean { gives: "list" }),
        (
            "input.parameter == 1",
            Wrong::Group { name: "input.parameter".to_owned(), example: "<name>".to_owned() },
        ),
        ("has(model)", Wrong::Unsupported { what: String::new() }),
        ("{'a': 1} == 1", Wrong::Unsupported { what: "a map".to_owned() }),
        ("Thing{} == 1", Wrong::Unsupported { what: "a message".to_owned() }),
        ("1 + 1", Wrong::NotBoolean { gives: "a number or text" }),
        ("'yes'", Wrong::NotBoolean { gives: "string" }),
        ("true ? 1 : 2", Wrong::NotBoolean { gives: "int" }),
        ("purpose", Wrong::NotBoolean { gives: "string or null" }),
        ("'a'.matches('(')", Wrong::Regex { why: "is not one (RE2 syntax)" }),
        (
            "'a'.matches('(((a{99}){99}){99})')",
            Wrong::Regex { why: "is too large once compiled: repeat less" },
        ),
        ("'a'.matches(purpose)", Wrong::Regex { why: "must be written out in the rule" }),
        ("[1].all(a, [1].all(b, [1].all(c, true)))", Wrong::TooNested),
    ] {
        let found = wrong(text);
        match (&found, &expected) {
            (Wrong::Unsupported { .. } | Wrong::Syntax { .. }, Wrong::Unsupported { what })
                if what.is_empty() => {}
            (found, expected) => assert_eq!(found, expected, "{text}"),
        }
    }
    for text in
        ["1 +", "a b", "input.", "'open", "(", "true)", "\u{0}", "?", "1 == 1 ||", "@result", "\u{1b}[2J"]
    {
        assert!(matches!(wrong(text), Wrong::Syntax { .. }), "{text:?}: {:?}", wrong(text));
    }
    for text in
        ["now()", "'a'.lowerAscii() == 'a'", "type(1) == int", "timestamp('x') == 1", "size(1, 2) == 1"]
    {
        assert!(matches!(wrong(text), Wrong::Unsupported { .. }), "{text:?}: {:?}", wrong(text));
    }
}

#[test]
fn a_rule_of_the_request_cannot_name_the_answer() {
    let request = |text: &str| compile(text, When::Request, &names()).map(|_| ()).unwrap_err().what;
    for name in ["output.label", "output.score.predict", "outcome.action", "model.version"] {
        let early = Wrong::TooEarly { name: name.to_owned() };
        assert_eq!(request(&format!("{name} == 'x'")), early);
        assert_eq!(request(&format!("has({name})")), early);
    }
    assert!(compile("model.name == 'x'", When::Request, &names()).is_ok());
}

#[test]
fn says_where_a_rule_is_wrong() {
    let place = |text: &str| {
        let error = compile(text, When::Answer, &names()).map(|_| ()).unwrap_err();
        (error.line, error.column)
    };
    assert_eq!(place("true &&\n  modle.registered"), (2, 3));
    assert_eq!(place("'Grüße' == 'x' && nobody == 1"), (1, 19));
    assert_eq!(place("true &&\n\n   1 +"), (3, 7));
    let error = compile("true &&\n  modle.registered", When::Answer, &names()).map(|_| ()).unwrap_err();
    let said =
        "line 2, column 3: modle.registered is no variable of this route; did you mean model.registered?";
    assert_eq!(error.to_string(), said);
}

#[test]
fn hostile_texts_end_in_an_error_and_not_in_a_crash() {
    let deep =
        |open: &str, close: &str, times: usize| format!("{}true{}", open.repeat(times), close.repeat(times));
    for text in [
        deep("(", ")", 49),
        deep("(", ")", 2000),
        deep("[", "]", 2000),
        deep("true ? true : ", "", 250),
        format!("1{} == 1", "+1".repeat(2000)),
        format!("route{} == 1", ".a".repeat(1900)),
        format!("route{} == 1", "[0]".repeat(1300)),
        format!("true{}", " && true".repeat(500)),
        format!("[{}] == [1]", "1,".repeat(2000)),
        "x".repeat(4096),
        "'".repeat(4096),
        "\"\\".repeat(2000),
        "has(".repeat(1000),
        "[1].map(x, ".repeat(300),
        "\u{10ffff}".repeat(1000),
    ] {
        let beginning: String = text.chars().take(40).collect();
        assert!(compile(&text, When::Answer, &names()).is_err(), "{beginning}");
    }
    for signs in ["!", "-", "!-"] {
        _ = compile(&deep(signs, "", 2000), When::Answer, &names());
    }
    assert_eq!(wrong(&"x".repeat(RULE_BYTES_MAX + 1)), Wrong::TooLong);
    // As deep as the limits let it be.
    assert_eq!(verdict(&deep("(", ")", 40)), Ok(true));
}

#[test]
fn regular_expressions_take_time_in_proportion_to_the_text() {
    let source = Made::default().with(
        Variable::InputParameter,
        "note",
        Val::Text(Cow::Owned("a".repeat(TEXT_BYTES_MAX))),
    );
    let outcome = rule("input.parameter.note.matches('^(a+)+$b')").evaluate(1, &source);
    assert_eq!(outcome.verdict, Ok(false));
    assert!(outcome.steps > TEXT_BYTES_MAX as u64 / 4);
}

fn config(rule: &str) -> GateConfig {
    GateConfig {
        name: "consent".to_owned(),
        when: When::Request,
        rule: rule.to_owned(),
        otherwise: Otherwise::Refuse,
        message: None,
    }
}

#[test]
fn the_digest_of_a_policy_changes_with_everything_that_it_says() {
    let digest = |configs: &[GateConfig]| Gate::build(configs, &names()).unwrap().unwrap().policy();
    let one = config("true");
    let base = digest(std::slice::from_ref(&one));
    assert_eq!(base, digest(std::slice::from_ref(&one)));
    let other = GateConfig { name: "other".to_owned(), ..one.clone() };
    for changed in [
        vec![config("true ")],
        vec![config("false")],
        vec![other.clone()],
        vec![GateConfig { when: When::Answer, ..one.clone() }],
        vec![GateConfig { otherwise: Otherwise::Review, ..one.clone() }],
        vec![GateConfig { message: Some("m".to_owned()), ..one.clone() }],
        vec![one.clone(), other.clone()],
    ] {
        assert_ne!(digest(&changed), base, "{changed:?}");
    }
    assert_ne!(digest(&[one.clone(), other.clone()]), digest(&[other, one.clone()]));
    // Fixed: records of today must be checked by tomorrow's sidecars.
    let mut writer = Writer::new();
    writer.array(2).text("ledgerstone/gate/v1").array(1).array(5);
    writer.text("consent").text("request").text("true").text("refuse").null();
    assert_eq!(base, Hash::of(writer.as_bytes()));
    assert!(Gate::build(&[], &names()).unwrap().is_none());
}

#[test]
fn refuses_rules_that_could_be_mistaken_or_steer_a_terminal() {
    let build = |configs: Vec<GateConfig>| Gate::build(&configs, &names()).map(|_| ()).unwrap_err();
    let named = |name: &str| GateConfig { name: name.to_owned(), ..config("true") };
    for name in ["", "A", "a b", "a\n", "ü", &"a".repeat(65)] {
        assert!(matches!(build(vec![named(name)]), GateError::Name { .. }), "{name:?}");
    }
    assert!(matches!(build(vec![named("a"), named("a")]), GateError::Twice { .. }));
    let many = (0..=RULES_MAX).map(|n| named(&format!("r{n}"))).collect();
    assert!(matches!(build(many), GateError::TooMany { .. }));
    for message in
        ["", "\u{1b}[31mred", "a\nb", "a\rb", "\u{202e}abc", "\u{2066}", "\u{200b}", &"m".repeat(513)]
    {
        let config = GateConfig { message: Some(message.to_owned()), ..config("true") };
        assert!(matches!(build(vec![config]), GateError::Message { .. }), "{message:?}");
    }
    let parameters: Vec<String> =
        (0..=PARAMETERS_MAX).map(|n| format!("has(input.parameter.p{n})")).collect();
    let split = parameters.chunks(20).enumerate();
    let rules =
        split.map(|(n, part)| GateConfig { rule: part.join("||"), ..named(&format!("r{n}")) }).collect();
    assert!(matches!(build(rules), GateError::TooManyParameters { .. }));
}

#[test]
fn a_fault_refuses_even_where_no_would_ask_for_review() {
    let review = |rule: &str| GateConfig { otherwise: Otherwise::Review, ..config(rule) };
    let effect_of = |rule: &str| {
        let gate = Gate::build(&[review(rule)], &names()).unwrap().unwrap();
        let mut evaluations = Vec::new();
        gate.evaluate(When::Request, 1, &decision(), &mut evaluations);
        effect(&evaluations)
    };
    assert_eq!(effect_of("purpose == 'credit'"), Effect::Allow);
    assert_eq!(effect_of("purpose == 'other'"), Effect::Review);
    assert_eq!(effect_of("1 / 0 == 1"), Effect::Refuse);
}

/// What the crate's own evaluator says of a text without variables.
fn oracle(text: &str) -> Option<bool> {
    let program = cel::Program::compile(text).ok()?;
    match program.execute(&cel::Context::default()) {
        Ok(cel::Value::Bool(value)) => Some(value),
        _ => None,
    }
}

/// Texts of rules without variables.
fn expressions() -> impl Strategy<Value = String> {
    let number = prop_oneof![(-9_i64..9).prop_map(|n| n.to_string()), Just("9223372036854775807".to_owned())];
    let arithmetic = number.prop_recursive(3, 12, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner)
            .prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    });
    let compared =
        (arithmetic.clone(), prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]), arithmetic)
            .prop_map(|(a, op, b)| format!("{a} {op} {b}"));
    let leaf = prop_oneof![compared, Just("true".to_owned()), Just("false".to_owned())];
    let expression = leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.clone().prop_map(|a| format!("[1, 0, 2].all(x, x > 0 || {a})")),
            inner.prop_map(|a| format!("[1, 0, 2].exists(x, 4 / x == 2 && {a})")),
        ]
    });
    let is_shallow = |text: &String| text.matches("[1, 0, 2]").count() <= NESTED_MAX;
    expression.prop_filter("no rule may nest deeper", is_shallow)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A second evaluator, by other hands: the crate's own, which counts no steps.
    #[test]
    fn agrees_with_the_evaluator_of_the_parsers_crate(text in expressions()) {
        let program = rule(&text);
        let outcome = program.evaluate(1, &Made::default());
        prop_assert_eq!(outcome.verdict.clone().ok(), oracle(&text), "{}: {:?}", text, outcome);
        if let Some(most) = program.steps_max() {
            prop_assert!(outcome.steps <= most, "{} took {} of {} steps", text, outcome.steps, most);
        }
    }
}

/// `docs/gate.md` says what the table says.
#[test]
fn the_page_lists_every_variable() {
    let page = include_str!("../../../docs/gate.md");
    let when = |known: &Known| match (known.when, known.per_row) {
        (When::Request, false) => "request",
        (When::Request, true) => "request, each person",
        (When::Answer, false) => "answer",
        (When::Answer, true) => "answer, each person",
    };
    for known in VARIABLES {
        let row = format!("| `{}` | {} | {} | {} |", known.path, known.types, when(&known), known.what);
        assert!(page.contains(&row), "docs/gate.md lacks:\n{row}");
    }
    let rows = page.lines().filter(|line| line.contains("| request |") || line.contains(", each person |"));
    let answer = page.lines().filter(|line| line.contains("| answer |"));
    assert_eq!(rows.count() + answer.count(), VARIABLES.len());
    for known in VARIABLES {
        let path = known.recorded.replace("<name>", "name");
        let path = ledgerstone::record::FieldPath::parse(&path).unwrap();
        assert!(ledgerstone::record::schema::find(&path).is_some(), "{path} is in no record");
    }
}

#[test]
fn the_rules_of_the_page_compile() {
    let page = include_str!("../../../docs/gate.md");
    let names = Names {
        features: vec!["loan_amount".to_owned()],
        ..Names { scores: vec!["score".to_owned()], ..names() }
    };
    let mut count = 0;
    let mut when = When::Request;
    for line in page.lines() {
        if let Some(word) = line.strip_prefix("when = \"") {
            when = if word.starts_with("answer") { When::Answer } else { When::Request };
        }
        if let Some(rule) = line.strip_prefix("rule = \"") {
            let rule = rule.rsplit_once('"').unwrap().0;
            compile(rule, when, &names).unwrap_or_else(|error| panic!("{rule}: {error}"));
            count += 1;
        }
    }
    assert_eq!(count, 6);
}

#[test]
fn every_route_has_a_kind_of_policy_of_its_own() {
    let of = |route| policy_kind(route).unwrap();
    assert_eq!(of("loans").as_str(), "gate.loans");
    assert_eq!(of("Loans & more").as_str(), "gate.c7b7040f3ddbe4be11a0956804a53210");
    let long = "l".repeat(200);
    let kinds = ["loans", "Loans & more", "loans & more", &long, ""].map(of);
    for (place, kind) in kinds.iter().enumerate() {
        assert!(is_policy_kind(kind) && kind.as_str().len() <= 64, "{kind}");
        assert!(!kinds[place + 1..].contains(kind), "{kind}");
    }
    for other in ["gate", "gates.loans", "audit-plan", "retention"] {
        assert!(!is_policy_kind(&RegisteredName::parse(other).unwrap()), "{other}");
    }
}
