//! Other systems than Linux: there is nothing to give up, and that is told.

use super::{Needs, Part};

fn missing() -> Part {
    Part::Missing("only Linux has it".to_owned())
}

pub(super) mod process {
    pub(crate) fn give_up() -> super::Part {
        super::missing()
    }

    pub(crate) fn raise_lock_limit() {}
}

pub(super) mod ruleset {
    pub(crate) fn restrict(_needs: &super::Needs) -> super::Part {
        super::missing()
    }
}

pub(super) mod seccomp {
    pub(crate) fn filter(_is_strict: bool) -> super::Part {
        super::missing()
    }
}
