//! What a transaction offers: enough for the next blocks, an eighth more than the one it replaces, never above the cap.

use super::config::Config;
use super::word::Fees;

/// What to offer at this base fee and suggested tip, wei per gas.
///
/// # Errors
/// What would be needed, where the base fee alone takes all that the cap allows.
pub(super) fn market(config: &Config, base_fee: u128, tip: u128) -> Result<Fees, u128> {
    let tip = tip.min(config.tip_cap);
    if base_fee >= config.fee_cap {
        return Err(base_fee.saturating_add(tip));
    }
    // Twice the base fee outlasts six full blocks, each of which raises it by an eighth at most.
    let max = base_fee.saturating_mul(2).saturating_add(tip).clamp(1, config.fee_cap);
    Ok(Fees { max, tip: tip.min(max) })
}

/// What a transaction must offer to replace one of the same nonce: an eighth more of both, and what the market asks for.
///
/// # Errors
/// What would be needed, where that is above the cap.
pub(super) fn replacement(config: &Config, known: Fees, market: Fees) -> Result<Fees, u128> {
    let tip = market.tip.max(eighth_more(known.tip));
    let max = eighth_more(known.max);
    if max > config.fee_cap {
        return Err(max);
    }
    let max = market.max.max(max).max(tip);
    if max > config.fee_cap { Err(max) } else { Ok(Fees { max, tip }) }
}

/// An eighth more, rounded up, and one wei at least. Nodes ask for a tenth.
const fn eighth_more(value: u128) -> u128 {
    let more = value.div_ceil(8);
    value.saturating_add(if more == 0 { 1 } else { more })
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    #[test]
    fn offers_twice_the_base_fee_and_the_tip_below_the_cap() {
        let config = config();
        let offered = market(&config, 10 * GWEI, GWEI);
        assert_eq!(offered, Ok(Fees { max: 21 * GWEI, tip: GWEI }));
        assert_eq!(market(&config, 90 * GWEI, GWEI), Ok(Fees { max: 100 * GWEI, tip: GWEI }), "capped");
        assert_eq!(market(&config, 0, 50 * GWEI), Ok(Fees { max: 5 * GWEI, tip: 5 * GWEI }), "tip capped");
        assert_eq!(market(&config, 0, 0), Ok(Fees { max: 1, tip: 0 }), "a chain without fees");
        assert_eq!(market(&config, 100 * GWEI, GWEI), Err(101 * GWEI));
        assert_eq!(market(&config, u128::MAX, u128::MAX), Err(u128::MAX));
    }

    #[test]
    fn replaces_with_an_eighth_more_of_both_at_least() {
        let config = config();
        let known = Fees { max: 21 * GWEI, tip: GWEI };
        let same = replacement(&config, known, known).unwrap();
        assert!(same.max * 1_000 >= known.max * 1_125 && same.tip * 1_000 >= known.tip * 1_125, "{same:?}");
        let risen = Fees { max: 60 * GWEI, tip: 2 * GWEI };
        assert_eq!(replacement(&config, known, risen), Ok(risen));
        let tiny = replacement(&config, Fees { max: 1, tip: 0 }, Fees { max: 1, tip: 0 });
        assert_eq!(tiny, Ok(Fees { max: 2, tip: 1 }), "never the same again");
    }

    #[test]
    fn replaces_up_to_the_cap_and_not_above_it() {
        let config = config();
        let market = Fees { max: 100 * GWEI, tip: GWEI };
        let fits = Fees { max: 88 * GWEI, tip: GWEI };
        assert_eq!(replacement(&config, fits, market).map(|fees| fees.max), Ok(100 * GWEI));
        let high = Fees { max: 89 * GWEI, tip: GWEI };
        assert_eq!(replacement(&config, high, market), Err(100_125_000_000));
    }

    #[test]
    fn a_chain_of_replacements_ends_at_the_cap() {
        let config = config();
        let mut fees = Fees { max: 1, tip: 1 };
        let mut count = 0;
        while let Ok(next) = replacement(&config, fees, Fees { max: 1, tip: 1 }) {
            assert!(next.max > fees.max && next.tip > fees.tip && next.tip <= next.max);
            fees = next;
            count += 1;
        }
        assert!(fees.max <= config.fee_cap && count > 100, "{count} steps to {fees:?}");
    }
}
