//! The roles, and sets of them.

use std::fmt;

/// What somebody is to this sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Has decisions made and asks for their receipts: the system that calls the model.
    Application,
    /// Keeps the sidecar running and its models registered; sees nothing personal.
    Operator,
    /// Answers persons: adds to decisions, reads them, erases, holds, makes links.
    Compliance,
    /// Reads the log and receipts.
    Auditor,
    /// The person concerned, who has a link to one receipt. The link is what says so; no rule gives this role.
    Applicant,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Application, Self::Operator, Self::Compliance, Self::Auditor, Self::Applicant];

    /// The role as configurations and messages write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Operator => "operator",
            Self::Compliance => "compliance",
            Self::Auditor => "auditor",
            Self::Applicant => "applicant",
        }
    }

    /// The role that a rule of the configuration may give by this word: every one but the applicant's.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word && *role != Self::Applicant)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These ones.
    #[must_use]
    pub const fn of(roles: &[Role]) -> Self {
        let (mut bits, mut rest) = (0, roles);
        while let [role, tail @ ..] = rest {
            bits |= role.bit();
            rest = tail;
        }
        Self(bits)
    }

    /// Those of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `role` is among them.
    #[must_use]
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl fmt::Display for Roles {
    /// `operator, compliance or auditor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, mut written) = (self.iter().count(), 0);
        for role in self.iter() {
            let between = match written {
                0 => "",
                n if n + 1 == words => " or ",
                _ => ", ",
            };
            write!(f, "{between}{role}")?;
            written += 1;
        }
        Ok(())
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_it_was_made_of_and_says_it_as_a_sentence_does() {
        let all = Roles::of(&Role::ALL);
        for role in Role::ALL {
            assert!(all.has(role) && Roles::of(&[role]).has(role) && !Roles::NONE.has(role));
            assert_eq!(Roles::of(&[role]).iter().collect::<Vec<_>>(), [role]);
        }
        let (two, one) = (Roles::of(&[Role::Auditor, Role::Operator]), Roles::of(&[Role::Auditor]));
        assert_eq!(two.to_string(), "operator or auditor");
        assert_eq!(two.or(Roles::of(&[Role::Compliance])).to_string(), "operator, compliance or auditor");
        assert_eq!((one.to_string().as_str(), two.and(one)), ("auditor", one));
        assert!(Roles::NONE.is_empty() && !one.is_empty());
    }

    #[test]
    fn no_rule_makes_an_applicant() {
        assert_eq!(Role::from_word("compliance"), Some(Role::Compliance));
        assert_eq!((Role::from_word("applicant"), Role::from_word("admin")), (None, None));
    }
}
