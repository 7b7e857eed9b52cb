//! Real chain nodes, and a proxy before one that lies.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, free_port};

/// The path of anvil or geth; nothing where it cannot be had.
fn program(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(root.join(format!("scripts/{name}-path"))).output().unwrap();
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()));
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} is needed: {why}");
    println!("skipped because {name} cannot be had: {why}");
    None
}

/// A chain of its own; killed when dropped.
pub struct Anvil {
    child: Child,
    program: PathBuf,
    arguments: Vec<String>,
    pub address: SocketAddr,
}

impl Anvil {
    /// Starts a chain with a block every 200 ms, final after `2 * epoch` blocks.
    pub async fn start(epoch: u32, more: &[&str]) -> Option<Self> {
        let program = program("anvil")?;
        let epoch = epoch.to_string();
        let mut arguments = vec!["--slots-in-an-epoch", epoch.as_str(), "--block-time", "0.2", "--silent"];
        arguments.extend(more);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let port = free_port();
        let child = spawn(&program, port, &arguments);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let anvil = Self { child, program, arguments, address };
        answers(anvil.address).await;
        Some(anvil)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls a method that must not fail.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        call(self.address, method, params).await
    }

    pub async fn number(&self, call: &str, params: Value) -> u64 {
        let text = self.call(call, params).await;
        u64::from_str_radix(text.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
    }

    pub async fn height(&self) -> u64 {
        self.number("eth_blockNumber", json!([])).await
    }

    /// `kill -INT`, so that a chain with `--state` is written.
    pub fn stop(&mut self) {
        _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        _ = self.child.wait();
    }

    /// Starts it again where it was.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.program, self.address.port(), &self.arguments);
        answers(self.address).await;
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn spawn(program: &Path, port: u16, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string()]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a node answers.
async fn answers(address: SocketAddr) {
    let start = Instant::now();
    while ask(address, "eth_chainId", json!([])).await.is_none() {
        assert!(start.elapsed() < PATIENCE, "the node never answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Calls a method that must not fail.
pub async fn call(address: SocketAddr, method: &str, params: Value) -> Value {
    let answer = ask(address, method, params).await.unwrap();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

/// Calls a method; nothing if nobody answers.
pub async fn ask(address: SocketAddr, method: &str, params: Value) -> Option<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    serde_json::from_slice(&post(address, request.to_string().as_bytes()).await?).ok()
}

async fn post(address: SocketAddr, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body).await.ok()?;
    let (_, body) = message(&mut stream).await?;
    Some(body)
}

/// Reads one HTTP message with a content length.
pub async fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// geth in its developer mode, which makes a block for each withdrawal of the beacon chain that it stands for, and calls
/// each 32nd block final; killed when dropped.
pub struct Geth {
    child: Child,
    _folder: TempDir,
    blocks: JoinHandle<()>,
    pub address: SocketAddr,
}

impl Geth {
    pub const CHAIN_ID: u64 = 1_337;

    /// Starts a chain with a block every 100 ms.
    pub async fn start() -> Option<Self> {
        let program = program("geth")?;
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(program);
        command.args(["--dev", "--nodiscover", "--maxpeers", "0", "--ipcdisable", "--verbosity", "1"]);
        command.args(["--http", "--http.api", "eth,dev", "--http.port", &address.port().to_string()]);
        command.args(["--authrpc.port", &free_port().to_string(), "--datadir"]).arg(folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let blocks = tokio::spawn(async move {
            for index in 0_u64.. {
                withdraw(address, index, alloy_primitives::Address::repeat_byte(0xee), 1).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let geth = Self { child, _folder: folder, blocks, address };
        answers(address).await;
        Some(geth)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gives an account so many ether.
    pub async fn pay(&self, account: alloy_primitives::Address, ether: u64) {
        withdraw(self.address, u64::MAX, account, ether * 1_000_000_000).await;
        let start = Instant::now();
        while call(self.address, "eth_getBalance", json!([account, "latest"])).await == "0x0" {
            assert!(start.elapsed() < PATIENCE, "the account was never paid");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Geth {
    fn drop(&mut self) {
        self.blocks.abort();
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Has a validator's money withdrawn in the next block.
async fn withdraw(node: SocketAddr, index: u64, to: alloy_primitives::Address, gwei: u64) {
    let hex = |number: u64| format!("{number:#x}");
    let withdrawal =
        json!({ "index": hex(index), "validatorIndex": "0x0", "address": to, "amount": hex(gwei) });
    _ = ask(node, "dev_addWithdrawal", json!([withdrawal])).await;
}

/// What the proxy does to a call.
pub enum Lie {
    /// Nothing: it passes calls and answers on.
    Honest,
    /// It closes the connection.
    Down,
    /// It never answers.
    Slow,
    /// It answers this instead of JSON-RPC.
    Text(Vec<u8>),
    /// It changes the call.
    Call(fn(&mut Value)),
    /// It changes the answer to a call.
    Answer(fn(&Value, &mut Value)),
}

/// A proxy before a node.
pub struct Liar {
    pub address: SocketAddr,
    lie: Arc<Mutex<Lie>>,
}

impl Liar {
    pub async fn start(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lie = Arc::new(Mutex::new(Lie::Honest));
        let shared = Arc::clone(&lie);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, node, Arc::clone(&shared)));
            }
        });
        Self { address, lie }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn tell(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }
}

async fn serve(mut stream: TcpStream, node: SocketAddr, lie: Arc<Mutex<Lie>>) -> Option<()> {
    let (_, body) = message(&mut stream).await?;
    let mut call: Value = serde_json::from_slice(&body).ok()?;
    enum Now {
        Pass(Option<fn(&Value, &mut Value)>),
        Text(Vec<u8>),
        Slow,
        Down,
    }
    let now = match &*lie.lock().unwrap() {
        Lie::Honest => Now::Pass(None),
        Lie::Down => Now::Down,
        Lie::Slow => Now::Slow,
        Lie::Text(text) => Now::Text(text.clone()),
        Lie::Call(change) => {
            change(&mut call);
            Now::Pass(None)
        }
        Lie::Answer(change) => Now::Pass(Some(*change)),
    };
    let answer = match now {
        Now::Down => return None,
        Now::Slow => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return None;
        }
        Now::Text(text) => text,
        Now::Pass(change) => {
            let mut answer: Value =
                serde_json::from_slice(&post(node, call.to_string().as_bytes()).await?).ok()?;
            if let Some(change) = change {
                change(&call, &mut answer);
            }
            answer.to_string().into_bytes()
        }
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&answer).await.ok()
}

/// Answers each of these methods with its value, and refuses every other one.
pub async fn canned(answers: Vec<(&'static str, Value)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some((_, body)) = message(&mut stream).await else { continue };
            let call: Value = serde_json::from_slice(&body).unwrap();
            let known = answers.iter().find(|(method, _)| call["method"] == *method);
            let answer = match known {
                Some((_, value)) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": value }),
                None => {
                    json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": -32601, "message": "no" } })
                }
            };
            let answer = answer.to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            _ = stream.write_all(format!("{head}{answer}").as_bytes()).await;
        }
    });
    address
}
