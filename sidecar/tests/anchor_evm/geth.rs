//! A second chain node, which shares no code with the first: geth in its developer mode.

use ledgerstone::anchor::evm::{BlockHeader, Bundle};

use crate::node::Geth;
use crate::support::http_get;
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_anchored_on_geth_verifies_too_and_goes_on_after_kills_and_a_limit_too_low() {
    let Some(geth) = Geth::start().await else { return };
    let world = World::on(&geth.url(), async |account| geth.pay(account, 10).await).await;
    assert_eq!(world.deployed.chain_id, Geth::CHAIN_ID);
    println!("deploy {:?} gas, register {:?} gas", world.deployed.deploy_gas, world.deployed.register_gas);
    let says = async |words: &str| {
        let page = http_get(world.files.admin, "/anchors").await.map(|(_, body)| body).unwrap_or_default();
        String::from_utf8_lossy(&page).contains(words)
    };
    // Its developer mode has the rules of the fork to come, under which new storage costs more.
    world.lane(&[geth.url()], "gas = 120000");
    let mut child = world.files.start();
    until("the lane names the limit", async || says("its gas limit of 120000: raise `gas`").await).await;
    child.kill();
    world.lane(&[geth.url()], "");
    let mut child = world.files.start();
    world.proved(1).await;
    // Every block of the developer mode is safe at once.
    until("a later statement is mined", async || says("ethereum ethereum safe\n").await).await;
    child.kill();
    let child = world.files.start();
    world.proved(3).await;
    drop(child);
    let facts = world.verify_on(geth.address).await;
    assert!(facts.len() >= 3 && facts.iter().all(|facts| facts.has_receipt), "{facts:?}");
    let gas = world.deployed.register_gas.unwrap();
    assert!(
        (100_000..200_000).contains(&gas),
        "register took {gas}: measure `advance` anew, and the limit of a lane"
    );
    for seq in 1..=world.count() {
        let proof = std::fs::read(world.statement(seq).join("proof.evm")).unwrap();
        let header = BlockHeader::decode(&Bundle::decode(&proof).unwrap().headers[0]).unwrap();
        println!("statement {seq}: {} bytes at block {}", proof.len(), header.number);
        assert_eq!(header.number % 32, 0, "proved in a block that geth calls final");
    }
}
