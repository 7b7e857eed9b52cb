//! Compact targets and retargeting, by the numbers of Bitcoin Core's tests of both.

use proptest::prelude::*;

use super::*;

const MAIN: Network = Network::Mainnet;

#[test]
fn refuses_every_compact_form_that_is_no_target() {
    for (bits, error) in [
        (0x0000_0000, TargetError::Zero),
        (0x0012_3456, TargetError::Zero),
        (0x0112_0000 >> 8, TargetError::Zero),
        (0x0200_0056, TargetError::Zero),
        (0x0300_0000, TargetError::Zero),
        (0x0400_0000, TargetError::Zero),
        (0x2100_0000, TargetError::Zero),
        (0xff00_0000, TargetError::Zero),
        (0x0080_3456, TargetError::Zero),
        (0x0180_3456, TargetError::Zero),
        (0x1c80_0000, TargetError::Zero),
        (0x01fe_dcba, TargetError::Negative),
        (0x0492_3456, TargetError::Negative),
        (0x1d80_ffff, TargetError::Negative),
        (0xff12_3456, TargetError::Overflow),
        (0x2101_0000, TargetError::Overflow),
        (0x2200_0100, TargetError::Overflow),
        (0x2300_0001, TargetError::Overflow),
        (0x1d01_0000, TargetError::Easy { network: MAIN }),
        (0x2012_3456, TargetError::Easy { network: MAIN }),
        (0x207f_ffff, TargetError::Easy { network: MAIN }),
        (0x2200_00ff, TargetError::Easy { network: MAIN }),
    ] {
        assert_eq!(Target::from_bits(bits, MAIN), Err(error), "{bits:#010x}");
    }
    let (bits, network) = (0x2100_8000, Network::Regtest);
    assert_eq!(Target::from_bits(bits, network), Err(TargetError::Easy { network }));
}

#[test]
fn expands_and_compacts_as_bitcoin_core_does() {
    for (bits, low, back) in [
        (0x0112_3456, 0x12, 0x0112_0000),
        (0x0212_3456, 0x1234, 0x0212_3400),
        (0x0312_3456, 0x12_3456, 0x0312_3456),
        (0x0412_3456, 0x1234_5600, 0x0412_3456),
        (0x0500_9234, 0x9234_0000, 0x0500_9234),
        (0x0600_0080, 0x8000_0000, 0x0500_8000),
    ] {
        let target = Target::from_bits(bits, MAIN).unwrap();
        assert_eq!(target.to_be_bytes()[24..], u64::to_be_bytes(low), "{bits:#010x}");
        assert_eq!(target.to_be_bytes()[..24], [0; 24]);
        assert_eq!(target.to_bits(), back, "{bits:#010x}");
    }
    for network in [MAIN, Network::Regtest] {
        let easiest = Target::from_bits(network.easiest_bits(), network).unwrap();
        assert_eq!(easiest.to_bits(), network.easiest_bits());
    }
    let easiest = Target::from_bits(0x207f_ffff, Network::Regtest).unwrap().to_be_bytes();
    assert_eq!((easiest[..3].to_vec(), easiest[3..].to_vec()), (vec![0x7f, 0xff, 0xff], vec![0; 29]));
}

#[test]
fn sets_the_targets_that_the_main_chain_had() {
    for (bits, first, last, next) in [
        // Blocks 30,240 to 32,255; 0 to 2,015, limited by the easiest target; 66,528 to 68,543, by a factor of four.
        (0x1d00_ffff, 1_261_130_161, 1_262_152_739, 0x1d00_d86a),
        (0x1d00_ffff, 1_231_006_505, 1_233_061_996, 0x1d00_ffff),
        (0x1c05_a3f4, 1_279_008_237, 1_279_297_671, 0x1c01_68fd),
        // Up to block 46,367, with a first time that makes the other factor of four.
        (0x1c38_7f6f, 1_263_163_443, 1_269_211_443, 0x1d00_e1fd),
    ] {
        assert_eq!(next_bits(bits, first, last, MAIN), Ok(next));
        assert_eq!(may_follow(bits, next, MAIN), Ok(true));
    }
    // Clocks that ran backwards count as the shortest time.
    assert_eq!(next_bits(0x1c05_a3f4, u32::MAX, 0, MAIN), Ok(0x1c01_68fd));
    assert_eq!(next_bits(0x207f_ffff, 0, 1, MAIN), Err(TargetError::Easy { network: MAIN }));
}

#[test]
fn lets_no_target_change_by_more_than_a_factor_of_four() {
    for (bits, hardest, easiest) in
        [(0x1c05_a3f4, 0x1c01_68fd, 0x1c16_8fd0), (0x1c38_7f6f, 0x1c0e_1fdb, 0x1d00_e1fd)]
    {
        for (next, allowed) in
            [(hardest, true), (hardest - 1, false), (easiest, true), (easiest + 1, false), (bits, true)]
        {
            assert_eq!(may_follow(bits, next, MAIN), Ok(allowed), "{bits:#010x} to {next:#010x}");
        }
    }
}

#[test]
fn counts_work_as_bitcoin_core_does() {
    let work = |bits, network| Target::from_bits(bits, network).unwrap().work();
    let low = |work: Work| u128::from_be_bytes(work.to_be_bytes()[16..].try_into().unwrap());
    assert_eq!(low(work(0x1d00_ffff, MAIN)), 0x1_0001_0001);
    assert_eq!(low(work(0x207f_ffff, Network::Regtest)), 2);
    assert_eq!(work(0x1d00_ffff, MAIN).log2(), 32);
    assert_eq!(work(0x1a44_b9f2, MAIN).to_string(), "about 2^49 hashes");
    assert_eq!(Work::default().to_string(), "no hashes");
    // The hardest target there is: one.
    let hardest = work(0x0101_0000, MAIN);
    assert_eq!(hardest.log2(), 255);
    assert_eq!(hardest.plus(hardest).to_be_bytes(), [0xff; 32]);
}

fn wide(number: u128) -> Wide {
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    Wide::from_be_bytes(&bytes)
}

proptest! {
    #[test]
    fn arithmetic_agrees_with_128_bits(a: u128, b: u128, small in 1_u32..) {
        prop_assert_eq!(wide(a).div_small(small), wide(a / u128::from(small)));
        prop_assert_eq!(wide(a).div(wide(b.max(1))), wide(a / b.max(1)));
        prop_assert_eq!(wide(a).checked_sub(wide(b)), a.checked_sub(b).map(wide));
        prop_assert_eq!(wide(a).cmp(&wide(b)), a.cmp(&b));
        prop_assert_eq!(wide(a >> 64).checked_add(wide(b >> 64)), Some(wide((a >> 64) + (b >> 64))));
        prop_assert_eq!(wide(a >> 32).checked_mul(small), Some(wide((a >> 32) * u128::from(small))));
        prop_assert_eq!(wide(a).bit_length(), 128 - a.leading_zeros());
    }

    #[test]
    fn multiplied_and_divided_is_the_same_over_all_bits(bytes: [u8; 32], small in 1_u32..) {
        let number = Wide::from_be_bytes(&bytes).div_small(u32::MAX);
        let product = number.checked_mul(small).unwrap();
        prop_assert_eq!(product.div_small(small), number);
        prop_assert_eq!(Wide::from_be_bytes(&product.to_be_bytes()), product);
        prop_assert_eq!(product.checked_sub(number).unwrap().checked_add(number), Some(product));
        prop_assert_eq!(Wide::MAX.checked_add(Wide::ONE), None);
        prop_assert_eq!(Wide::MAX.checked_mul(2), None);
    }

    #[test]
    fn a_target_reads_back_from_its_compact_form(bits: u32) {
        if let Ok(target) = Target::from_bits(bits, Network::Regtest) {
            prop_assert_eq!(Target::from_bits(target.to_bits(), Network::Regtest), Ok(target));
        }
    }
}
