//! Landlock: this process opens what its configuration needs, and nothing else.
//!
//! Guarantees: no file is executed, no device, socket, pipe or link is made; what is written is the store and the folders
//! that were named; TCP goes to the ports of configured addresses alone. As far as the kernel has it: files from ABI 1, moving
//! between folders from 2, truncating from 3, ports from 4, devices from 5, signals and abstract sockets from 6.
//! Does not do: UDP, and Unix sockets that have a path, which ABI 7 does not know.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, make_bitflags,
};

use super::{Needs, Part};

/// What was tested. A newer kernel gives the same, an older one what it has of it.
const ABI_TESTED: ABI = ABI::V7;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | RemoveFile | RemoveDir | MakeReg | MakeDir | Refer | Truncate
});

/// What a rule about a file may say.
const FILE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});

pub(super) fn restrict(needs: &Needs) -> Part {
    match rules(needs) {
        Err(error) => Part::Missing(format!("the kernel refused it: {error}")),
        Ok(status) => said(&status, needs),
    }
}

fn rules(needs: &Needs) -> Result<RestrictionStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_TESTED))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(ABI_TESTED))?;
    let ruleset = match needs.connect {
        Some(_) => ruleset.handle_access(AccessNet::ConnectTcp)?,
        None => ruleset,
    };
    let ports = |ports: &[u16], access: AccessNet| {
        let rule = move |port: &u16| Ok::<_, RulesetError>(NetPort::new(*port, access));
        ports.iter().map(rule).collect::<Vec<_>>()
    };
    ruleset
        .create()?
        .add_rules(beneath(&needs.read, READ))?
        .add_rules(beneath(&needs.write, WRITE))?
        .add_rules(ports(&needs.listen, AccessNet::BindTcp))?
        .add_rules(ports(needs.connect.as_deref().unwrap_or_default(), AccessNet::ConnectTcp))?
        .restrict_self()
}

/// Rules for those that are there: what is not there cannot be opened either, and whoever opens it says so.
fn beneath(
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<PathBeneath<PathFd>, RulesetError>> {
    paths.iter().filter_map(move |path| {
        let access = if path.is_dir() { access } else { access & FILE };
        Some(Ok(PathBeneath::new(PathFd::new(path).ok()?, access)))
    })
}

fn said(status: &RestrictionStatus, needs: &Needs) -> Part {
    let abi = match status.landlock {
        LandlockStatus::NotImplemented => {
            return Part::Missing("this kernel has no Landlock (Linux 5.13)".to_owned());
        }
        LandlockStatus::NotEnabled => {
            return Part::Missing(
                "Landlock is not among this kernel's security modules (boot with lsm=landlock,...)"
                    .to_owned(),
            );
        }
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        return Part::Missing("the kernel did not enforce it".to_owned());
    }
    let (read, write) = (needs.read.len(), needs.write.len());
    if abi < ABI::V4 {
        return Part::Missing(format!(
            "ABI {abi} restricts files (reads {read} places, writes {write}) and no TCP ports: that needs Linux 6.7"
        ));
    }
    let ports = match &needs.connect {
        None => format!("listens on {} ports, connects anywhere for the PKCS#11 module", needs.listen.len()),
        Some(connect) => format!("listens on {} ports, connects to {}", needs.listen.len(), connect.len()),
    };
    Part::Active(format!("ABI {abi}, reads {read} places, writes {write}; {ports}"))
}
