//! The chain in memory is one that the commands for operators work on, and its EVM holds to the contract's rules.

use alloy_primitives::U256;
use ledgerstone_sidecar::anchor::evm::deploy::{DeployError, Deployment};
use ledgerstone_sidecar::anchor::evm::key::FileSigner;

use crate::model::CHAIN_ID;
use crate::stage::Stage;
use crate::world::{ORIGIN, endpoint};

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_deployed_and_the_log_registered_over_json_rpc() {
    let stage = Stage::new(1).await;
    let signer = FileSigner::load(&stage.world.folder.path().join("anchor.key"), None).unwrap();
    let deployment = |contract| Deployment {
        endpoint: endpoint(&stage.endpoints[0].url()),
        signer: &signer,
        origin: ORIGIN.to_owned(),
        chain_id: Some(CHAIN_ID),
        contract,
    };
    let growth = stage.grow();
    let deployed = deployment(None).run().await.unwrap();
    assert_ne!(deployed.contract, stage.world.deployed.contract, "a second one");
    assert!(deployed.deploy_gas.is_some() && deployed.register_gas.is_some());
    let again = deployment(Some(deployed.contract)).run().await.unwrap();
    assert_eq!((again.deploy_gas, again.register_gas), (None, None));
    let wrong = deployment(Some(stage.world.account)).run().await.unwrap_err();
    assert!(matches!(wrong, DeployError::OtherCode { .. }), "{wrong}");
    stage.chain().set_balance(stage.world.account, U256::ZERO);
    let poor = deployment(None).run().await.unwrap_err();
    assert!(poor.to_string().contains("insufficient funds"), "{poor}");
    drop(growth);
}
