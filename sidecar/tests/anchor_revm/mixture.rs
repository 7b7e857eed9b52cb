//! Every fault in seeded disorder: `ANCHOR_REVM_SEEDS` says how many seeds, `ANCHOR_REVM_SEED` repeats one.

use std::time::Duration;

use crate::endpoint::{Fault, lies};
use crate::model::Fate;
use crate::stage::{Stage, at_once};

/// Steps of one script; one takes about 60 ms.
const STEPS: u64 = 60;

/// Blocks below the newest one that may be taken back: what is deeper is final.
const DEPTH: u64 = 30;

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn fate(&mut self) -> Fate {
        [Fate::Dropped, Fate::Pooled, Fate::Included][self.below(3) as usize]
    }

    /// What any endpoint may have, also one that is asked alone.
    fn fault(&mut self, stage: &Stage) -> Fault {
        match self.below(24) {
            0 => Fault::Closed,
            1 => Fault::Silent,
            2 => Fault::Slow(Duration::from_millis(10 + self.below(300))),
            3 => Fault::Text(b"<html>".to_vec()),
            4 => Fault::Cut,
            5 => Fault::Refuses("eth_getProof"),
            6 => Fault::Refuses("eth_sendRawTransaction"),
            7 => Fault::Refuses("eth_getBlockReceipts"),
            8 => Fault::RefusesCapture,
            9 => Fault::Swallows,
            10 => Fault::DeniesTaking,
            11 | 12 => Fault::Frozen(Box::new(stage.chain().clone())),
            13 => Fault::Lies(lies::mined),
            14 => Fault::Lies(lies::failed),
            15 => Fault::Lies(lies::mined_elsewhere),
            16 => Fault::Lies(lies::never_mined),
            17 => Fault::Lies(lies::other_receipts),
            18 => Fault::Lies(lies::nonce_from_before),
            19 => Fault::Lies(lies::other_value),
            20 => Fault::Lies(lies::other_state_root),
            21 => Fault::Lies(lies::upside_down),
            22 => Fault::Lies(lies::dear_tip),
            _ => Fault::None,
        }
    }
}

async fn script(seed: u64) {
    println!("seed {seed} begins; ANCHOR_REVM_SEED={seed} repeats it");
    let mut dice = Dice(seed);
    let count = if dice.below(2) == 0 { 1 } else { 3 };
    let stage = Stage::new(count).await;
    let app = stage.world.start().await;
    let mut checked = 0;
    for _ in 0..STEPS {
        match dice.below(10) {
            0..=3 => (0..=dice.below(3)).for_each(|_| stage.chain().mine()),
            4 => {
                let chain = &mut *stage.chain();
                let most = (chain.height() - chain.finalized).min(DEPTH);
                if most > 0 {
                    let depth = [1, 5, 30, 1 + dice.below(most)][dice.below(4) as usize].min(most);
                    chain.reorganise(depth, dice.fate());
                }
            }
            5 => stage.chain().drop_pool(),
            6 | 7 => stage.all_have(&Fault::None),
            _ => {
                let place = dice.below(count as u64) as usize;
                // The others cannot be outvoted by one that says too much is final.
                let lies_about_final = count > 1 && place == 0 && dice.below(2) == 0;
                let fault =
                    if lies_about_final { Fault::Lies(lies::all_is_final) } else { dice.fault(&stage) };
                stage.endpoints[place].has(fault);
            }
        }
        if dice.below(3) == 0 {
            let final_below = [2, 8, DEPTH][dice.below(3) as usize];
            stage.chain().settle(dice.below(final_below + 1), final_below);
        }
        tokio::time::sleep(Duration::from_millis(20 + dice.below(80))).await;
        // A proof is under a final block of the true chain when it is first seen, not only in the end.
        if stage.world.count() > checked {
            checked = stage.proofs_hold().len() as u64;
        }
    }
    let facts = stage.ends_anchored(app, 2).await;
    println!(
        "seed {seed}, {count} endpoints: {} anchors, {} of them while faults came",
        facts.len(),
        checked
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_mixture_of_faults_the_log_is_anchored_once_and_verifies() {
    let read = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match read("ANCHOR_REVM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=read("ANCHOR_REVM_SEEDS").unwrap_or(4)).collect(),
    };
    for together in seeds.chunks(4) {
        at_once(together.iter().map(|seed| script(*seed))).await;
    }
}
