//! A JSON-RPC endpoint in the test's own process, and what may be wrong with it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::model::{Chain, Sent};
use crate::node::message;

/// Changes the answer to a call; the chain is the true one.
pub type Lie = fn(chain: &Chain, call: &Value, result: &mut Value);

/// What is wrong with an endpoint.
#[derive(Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It closes every connection without an answer.
    Closed,
    /// It takes every call and never answers.
    Silent,
    /// It answers after this time.
    Slow(Duration),
    /// It answers these bytes, whatever was asked.
    Text(Vec<u8>),
    /// It sends the first half of its answer.
    Cut,
    /// It refuses calls of this method.
    Refuses(&'static str),
    /// It refuses the proofs that are captured, and those that a view needs it gives.
    RefusesCapture,
    /// It says that it took a transaction, and forgets it.
    Swallows,
    /// It takes transactions and says that it did not.
    DeniesTaking,
    /// It stopped following the chain: all that it says was so then.
    Frozen(Box<Chain>),
    /// It answers something else than the truth.
    Lies(Lie),
}

/// An endpoint on loopback.
pub struct Endpoint {
    address: SocketAddr,
    fault: Arc<Mutex<Fault>>,
    connections: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
}

impl Endpoint {
    pub async fn start(chain: &Arc<Mutex<Chain>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let fault = Arc::new(Mutex::new(Fault::None));
        let (chain, shared, count) = (Arc::clone(chain), Arc::clone(&fault), Arc::clone(&connections));
        let called = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&chain), Arc::clone(&shared), Arc::clone(&called)));
            }
        });
        Self { address, fault, connections, calls }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn has(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Calls that ever came.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Connections that were ever made to it.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Answers calls on one connection until it is closed.
async fn serve(
    mut stream: TcpStream,
    chain: Arc<Mutex<Chain>>,
    fault: Arc<Mutex<Fault>>,
    calls: Arc<AtomicU64>,
) -> Option<()> {
    loop {
        let (_, body) = message(&mut stream).await?;
        calls.fetch_add(1, Ordering::Relaxed);
        let call: Value = serde_json::from_slice(&body).ok()?;
        let fault = fault.lock().unwrap().clone();
        match fault {
            Fault::Closed => return None,
            Fault::Silent => std::future::pending::<()>().await,
            Fault::Slow(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        let answer = match &fault {
            Fault::Text(text) => text.clone(),
            fault => answer(&chain, &call, fault).to_string().into_bytes(),
        };
        let length = answer.len();
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        bytes.extend(answer);
        if matches!(fault, Fault::Cut) {
            stream.write_all(&bytes[..bytes.len() - length / 2]).await.ok()?;
            return None;
        }
        // In one piece: a second one would wait for the first to be acknowledged.
        stream.write_all(&bytes).await.ok()?;
    }
}

fn answer(chain: &Mutex<Chain>, call: &Value, fault: &Fault) -> Value {
    let method = call["method"].as_str().unwrap_or_default();
    let is_send = method == "eth_sendRawTransaction";
    let is_capture = method == "eth_getProof" && call["params"][1].as_array().is_some_and(|s| s.len() == 2);
    let refused = || Err((-32000, "try again later".to_owned()));
    let mut true_chain = chain.lock().unwrap();
    // Whatever an endpoint does with it, somebody may have it.
    let raw = serde_json::from_value(call["params"][0].clone()).ok();
    if let Some(sent) = raw.filter(|_| is_send).and_then(Sent::read) {
        true_chain.hear(&sent);
    }
    let answered = match fault {
        Fault::Refuses(refuses) if *refuses == method => refused(),
        Fault::RefusesCapture if is_capture => refused(),
        Fault::Swallows if is_send => true_chain.clone().answer(method, &call["params"]),
        Fault::DeniesTaking if is_send => {
            _ = true_chain.answer(method, &call["params"]);
            refused()
        }
        Fault::Frozen(then) => then.clone().answer(method, &call["params"]),
        _ => true_chain.answer(method, &call["params"]),
    };
    let mut answer = match answered {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
        Err((code, message)) => {
            json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message } })
        }
    };
    if let (Fault::Lies(lie), Some(result)) = (fault, answer.get_mut("result")) {
        lie(&true_chain, call, result);
    }
    answer
}

/// Lies about single answers.
pub mod lies {
    use super::*;
    use crate::model::quantity;

    fn is(call: &Value, method: &str) -> bool {
        call["method"] == method
    }

    /// A receipt of `call`'s transaction in the newest block.
    fn receipt(chain: &Chain, call: &Value, status: &str) -> Value {
        let head = chain.head();
        json!({
            "transactionHash": call["params"][0], "transactionIndex": "0x0", "blockHash": head.hash,
            "blockNumber": quantity(head.header.number), "gasUsed": "0x9000", "status": status, "type": "0x2",
            "cumulativeGasUsed": "0x9000", "logsBloom": format!("0x{}", "0".repeat(512)), "logs": [],
        })
    }

    /// Every transaction is in the newest block.
    pub fn mined(chain: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getTransactionReceipt") {
            *result = receipt(chain, call, "0x1");
        }
    }

    /// Every transaction is in the newest block, and failed.
    pub fn failed(chain: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getTransactionReceipt") {
            *result = receipt(chain, call, "0x0");
        }
    }

    /// Every transaction is in a block of which nobody knows.
    pub fn mined_elsewhere(chain: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getTransactionReceipt") {
            *result = receipt(chain, call, "0x1");
            result["blockHash"] = json!(format!("0x{}", "ab".repeat(32)));
        }
    }

    /// No transaction is in the chain.
    pub fn never_mined(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getTransactionReceipt") {
            *result = Value::Null;
        }
    }

    /// The receipts of a block took other gas.
    pub fn other_receipts(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getBlockReceipts") && result[0].is_object() {
            result[0]["cumulativeGasUsed"] = json!("0x5208");
        }
    }

    /// The account has the nonce that it had before its last transaction.
    pub fn nonce_from_before(_: &Chain, call: &Value, result: &mut Value) {
        let nonce = result["nonce"].as_str().and_then(|text| u64::from_str_radix(&text[2..], 16).ok());
        if let (true, Some(nonce @ 1..)) = (is(call, "eth_getProof"), nonce) {
            result["nonce"] = quantity(nonce - 1);
        }
    }

    /// The contract's head is another one.
    pub fn other_value(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getProof") && result["storageProof"][0].is_object() {
            result["storageProof"][0]["value"] = json!("0x5");
        }
    }

    /// One bit of the proof's last node is another one.
    pub fn other_node(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getProof") {
            let nodes = result["accountProof"].as_array_mut().unwrap();
            let node = nodes.pop().unwrap();
            let mut text = node.as_str().unwrap().to_owned();
            let last = text.pop().unwrap();
            text.push(if last == '0' { '1' } else { '0' });
            nodes.push(json!(text));
        }
    }

    /// The proof has more bytes than any account and its slots have.
    pub fn long_proof(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getProof") {
            result["address"] = json!("0".repeat(512 << 10));
        }
    }

    /// The header's state root is another one.
    pub fn other_state_root(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getBlockByNumber") && result.is_object() {
            result["stateRoot"] = json!(format!("0x{}", "5".repeat(64)));
        }
    }

    /// The block has another hash than its header's.
    pub fn other_hash(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getBlockByNumber") && result.is_object() {
            result["hash"] = json!(format!("0x{}", "5".repeat(64)));
        }
    }

    /// Another chain.
    pub fn other_chain(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_chainId") {
            *result = json!("0x1");
        }
    }

    /// The newest block is final.
    pub fn all_is_final(chain: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getBlockByNumber")
            && (call["params"][0] == "finalized" || call["params"][0] == "safe")
        {
            *result = chain.clone().answer("eth_getBlockByNumber", &json!(["latest", false])).unwrap();
        }
    }

    /// The final block is above the newest.
    pub fn upside_down(chain: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_getBlockByNumber") && call["params"][0] == "latest" {
            *result = chain.clone().answer("eth_getBlockByNumber", &json!(["0x1", false])).unwrap();
        }
    }

    /// Whoever mines wants a thousand ether for a unit of gas.
    pub fn dear_tip(_: &Chain, call: &Value, result: &mut Value) {
        if is(call, "eth_maxPriorityFeePerGas") {
            *result = json!("0x3635c9adc5dea00000");
        }
    }

    /// It answers another call.
    pub fn other_shape(_: &Chain, _: &Value, result: &mut Value) {
        *result = json!({ "a": [1] });
    }
}
