//! Sending stored transactions.
//!
//! Guarantees: the bytes go to every endpoint as they are stored; each refusal is put into one of the classes that the
//! scheduler knows, and the endpoint's own words are kept for the log line.
//! Does not do: believing that a transaction is in the chain because an endpoint took it.

use alloy_primitives::{B256, Bytes};
use ledgerstone::anchor::scheduler::Broadcast;
use serde_json::json;
use tokio::task::JoinSet;

use super::rpc::{ANSWER_BYTES_MAX, Endpoint, RpcError, RpcFault};

/// What the endpoints said to a transaction.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The best of it.
    pub outcome: Broadcast,
    /// Every refusal and failure. A nonce that is used is none: most often the transaction itself is in a block since the
    /// last look, and the next one tells.
    pub failures: Vec<RpcError>,
}

/// Sends `raw` to every endpoint at once.
pub async fn send(endpoints: &[Endpoint], raw: &[u8]) -> Sent {
    let raw = Bytes::copy_from_slice(raw);
    let mut sending = JoinSet::new();
    for endpoint in endpoints {
        let (endpoint, raw) = (endpoint.clone(), raw.clone());
        sending.spawn(async move {
            endpoint.call::<B256>("eth_sendRawTransaction", json!([raw]), ANSWER_BYTES_MAX).await
        });
    }
    let (mut outcome, mut failures) = (Broadcast::Unreachable, Vec::new());
    for answer in sending.join_all().await {
        let one = match answer {
            Ok(_) => Broadcast::Taken,
            Err(error) => {
                let class = classify(&error.fault);
                if !matches!(class, Broadcast::Taken | Broadcast::NonceTooLow) {
                    failures.push(error);
                }
                class
            }
        };
        if rank(one) < rank(outcome) {
            outcome = one;
        }
    }
    Sent { outcome, failures }
}

/// What an endpoint's refusal means. Clients word it differently; the words are those of geth, Nethermind, Besu, Erigon,
/// reth and anvil.
fn classify(fault: &RpcFault) -> Broadcast {
    let RpcFault::Refused { message, .. } = fault else { return Broadcast::Unreachable };
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["already known", "alreadyknown", "known transaction", "already imported", "already exists"]) {
        Broadcast::Taken
    } else if says(&["nonce too low", "nonce_too_low", "oldnonce", "old nonce", "nonce is too low"]) {
        Broadcast::NonceTooLow
    } else if says(&["underpriced", "replacement", "fee too low", "feetoolow", "less than block base fee"]) {
        Broadcast::Underpriced
    } else if says(&["insufficient funds", "insufficientfunds", "insufficient balance", "upfront cost"]) {
        Broadcast::InsufficientFunds
    } else {
        Broadcast::Refused
    }
}

/// How much is known of the transaction's fate; lower is better. A used nonce says most after an acceptance: the
/// transaction, or another one of that nonce, is in the chain.
fn rank(outcome: Broadcast) -> u8 {
    match outcome {
        Broadcast::Taken => 0,
        Broadcast::NonceTooLow => 1,
        Broadcast::Underpriced => 2,
        Broadcast::InsufficientFunds => 3,
        Broadcast::Refused => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_the_words_of_many_clients_have_a_class() {
        for (words, class) in [
            ("already known", Broadcast::Taken),
            ("ALREADY_EXISTS: already known", Broadcast::Taken),
            ("transaction already imported", Broadcast::Taken),
            ("Known transaction", Broadcast::Taken),
            ("nonce too low: address 0x00, tx: 1 state: 2", Broadcast::NonceTooLow),
            ("OldNonce, Current nonce: 2", Broadcast::NonceTooLow),
            ("replacement transaction underpriced", Broadcast::Underpriced),
            ("transaction underpriced: gas tip cap 1", Broadcast::Underpriced),
            ("max fee per gas less than block base fee", Broadcast::Underpriced),
            ("FeeTooLow, MaxFeePerGas too low", Broadcast::Underpriced),
            ("insufficient funds for gas * price + value", Broadcast::InsufficientFunds),
            ("Insufficient funds for gas * price + value", Broadcast::InsufficientFunds),
            ("Upfront cost exceeds account balance", Broadcast::InsufficientFunds),
            ("exceeds block gas limit", Broadcast::Refused),
            ("invalid sender", Broadcast::Refused),
            ("", Broadcast::Refused),
        ] {
            let fault = RpcFault::Refused { code: -32000, message: words.to_owned() };
            assert_eq!(classify(&fault), class, "{words}");
        }
        assert_eq!(classify(&RpcFault::NotJsonRpc), Broadcast::Unreachable);
    }
}
