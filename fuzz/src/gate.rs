//! Rules of the policy gate: texts that operators write.

use ledgerstone_sidecar::gate::{Found, Names, STEPS_MAX, Source, Val, Variable, When, compile};

/// A decision that has everything, of types that change with the name.
struct Everything;

impl Source for Everything {
    fn value(&self, variable: Variable, name: &str, row: usize) -> Found<'_> {
        match (name.len() + row + usize::from(variable == Variable::Route)) % 7 {
            0 => Found::Value(Val::Int(i64::MAX)),
            1 => Found::Value(Val::Double(f64::NAN)),
            2 => Found::Value(Val::Text("x".repeat(row * 1000).into())),
            3 => Found::Value(Val::Bool(true)),
            4 => Found::Absent,
            5 => Found::NotYet,
            _ => Found::Value(Val::Uint(u64::MAX)),
        }
    }
}

/// What compiles ends within its steps, with the same verdict each time, and never takes more than was said beforehand.
pub(crate) fn rule(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let names = Names {
        features: ["a", "bb", "ccc"].map(str::to_owned).to_vec(),
        scores: vec!["score".to_owned()],
        labels: true,
    };
    let Ok(program) = compile(text, When::Answer, &names) else { return false };
    let (one, other) = (program.evaluate(3, &Everything), program.evaluate(3, &Everything));
    assert_eq!(one, other, "the same rule over the same decision");
    assert!(one.steps <= STEPS_MAX);
    if let Some(most) = program.steps_max() {
        assert!(one.steps <= 3 * most, "{} steps, and {most} a person were promised", one.steps);
    }
    true
}
