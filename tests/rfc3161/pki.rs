//! Keys, certificates, tokens and lists made with the `openssl` command line, and DER taken apart and put together again.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use ledgerstone::time::UnixMillis;
use tempfile::TempDir;

/// Whether `openssl` can be run; under `CI=true` it must be.
pub fn has_openssl() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "openssl is needed");
        println!("skipped: openssl is missing");
    }
    there
}

pub const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
pub const CA: [&str; 2] = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
pub const STAMPING: &str = "extendedKeyUsage=critical,timeStamping";

/// A folder of keys and certificates: `NAME.key` and `NAME.pem`.
pub struct Pki {
    pub dir: TempDir,
}

impl Pki {
    /// With a certificate authority called `root`.
    pub fn new() -> Self {
        let pki = Self { dir: tempfile::tempdir().unwrap() };
        pki.write("req.cnf", b"[req]\ndistinguished_name = dn\n[dn]\n");
        pki.certificate("root", None, EC, &CA);
        pki
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).unwrap()
    }

    /// Runs `openssl` with arguments that hold no blank; gives whether it went well, and all that it printed.
    pub fn try_openssl(&self, arguments: &str) -> (bool, String) {
        let ran = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.dir)
            .output()
            .unwrap();
        (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    }

    pub fn openssl(&self, arguments: &str) {
        let (well, printed) = self.try_openssl(arguments);
        assert!(well, "openssl {arguments}\n{printed}");
    }

    /// Makes a key and its certificate, signed by `issuer` or by itself, valid from now on for ten years.
    pub fn certificate(&self, name: &str, issuer: Option<&str>, key: &str, extensions: &[&str]) {
        self.named(name, name, issuer, key, extensions);
    }

    /// The same for another common name. A `key` of `-key FILE` uses that one.
    pub fn named(&self, file: &str, name: &str, issuer: Option<&str>, key: &str, extensions: &[&str]) {
        let issuer = issuer.map_or_else(String::new, |ca| format!("-CA {ca}.pem -CAkey {ca}.key"));
        let key = if key.starts_with("-key ") { key.to_owned() } else { format!("{key} -keyout {file}.key") };
        let extensions: String = extensions.iter().map(|extension| format!(" -addext {extension}")).collect();
        self.openssl(&format!(
            "req -x509 -config req.cnf -new {key} -nodes {issuer} -subj /CN={name} -days 3650 -out {file}.pem{extensions}"
        ));
    }

    /// A reply with a token over `info` that `signer` signed, and the certificates of `chain`.
    pub fn reply(&self, signer: &str, chain: &[&str], info: &[u8], options: &str) -> Vec<u8> {
        self.write("info.der", info);
        let all: Vec<u8> = chain.iter().flat_map(|name| self.read(&format!("{name}.pem"))).collect();
        self.write("chain.pem", &all);
        let chain = if chain.is_empty() { "" } else { "-certfile chain.pem" };
        self.openssl(&format!(
            "cms -sign -binary -nodetach -nosmimecap -in info.der -econtent_type 1.2.840.113549.1.9.16.1.4 \
             -signer {signer}.pem -inkey {signer}.key {chain} -outform DER -out token.der {options}"
        ));
        der(0x30, &[&der(0x30, &[&[2, 1, 0]]), &self.read("token.der")])
    }

    /// A revocation list of `issuer`, as of `at`, with lines of an OpenSSL index: `SINCE[,REASON] SERIAL`.
    pub fn revocation_list(
        &self,
        issuer: &str,
        at: &str,
        revoked: &[(&str, &str)],
        extensions: &str,
    ) -> Vec<u8> {
        let index = revoked
            .iter()
            .map(|(since, serial)| format!("R\t350101000000Z\t{since}\t{serial}\tunknown\t/CN=revoked\n"));
        self.write("index.txt", index.collect::<String>().as_bytes());
        self.write(
            "ca.cnf",
            format!(
                "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\ncrlnumber = number\ndefault_md = sha256\n{extensions}\n"
            )
            .as_bytes(),
        );
        self.write("number", b"01\n");
        self.openssl(&format!(
            "ca -gencrl -config ca.cnf -cert {issuer}.pem -keyfile {issuer}.key -crl_lastupdate {at} \
             -crl_nextupdate 20991231235959Z -out list.pem"
        ));
        self.read("list.pem")
    }

    /// A certificate's serial number in hexadecimal, as an index of OpenSSL writes it.
    pub fn serial(&self, name: &str) -> String {
        let (well, printed) = self.try_openssl(&format!("x509 -in {name}.pem -noout -serial"));
        assert!(well, "{printed}");
        printed.trim().strip_prefix("serial=").unwrap().to_owned()
    }
}

/// An hour from now, within every certificate's validity.
pub fn soon() -> UnixMillis {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    UnixMillis::new(now / 1000 * 1000 + 3_600_000)
}

/// A GeneralizedTime of whole seconds.
pub fn generalized(time: UnixMillis) -> String {
    let digits: String = time.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}Z")
}

/// One DER value.
pub fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = match contents.len() {
        short @ 0..=0x7f => vec![short as u8],
        middle @ 0x80..=0xff => vec![0x81, middle as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [&[tag][..], &length, &contents].concat()
}

/// A TSTInfo to be signed; fields that are not set are left out.
pub struct Info {
    pub imprint: Vec<u8>,
    pub time: String,
    pub nonce: Option<u8>,
    pub rest: Vec<u8>,
}

impl Info {
    pub fn of(data: &[u8]) -> Self {
        let imprint = ledgerstone::hash::Hash::of(data).as_bytes().to_vec();
        Self { imprint, time: generalized(soon()), nonce: None, rest: Vec::new() }
    }

    pub fn der(&self) -> Vec<u8> {
        let sha256 = der(0x30, &[&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1], &[5, 0]]);
        let imprint = der(0x30, &[&sha256, &der(4, &[&self.imprint])]);
        let nonce = self.nonce.map(|nonce| vec![2, 1, nonce]).unwrap_or_default();
        let policy: &[u8] = &[6, 3, 0x2a, 3, 4];
        let time = der(0x18, &[self.time.as_bytes()]);
        der(0x30, &[&[2, 1, 1], policy, &imprint, &[2, 1, 9], &time, &nonce, &self.rest])
    }
}

/// DER as a tree, to change one thing in it.
#[derive(Clone)]
pub enum Node {
    Leaf(u8, Vec<u8>),
    Tree(u8, Vec<Self>),
}

impl Node {
    pub fn parse(bytes: &[u8]) -> Self {
        let (node, rest) = Self::first(bytes);
        assert!(rest.is_empty());
        node
    }

    fn first(bytes: &[u8]) -> (Self, &[u8]) {
        let (length, head) = match bytes[1] {
            0x82 => (usize::from(bytes[2]) << 8 | usize::from(bytes[3]), 4),
            0x81 => (usize::from(bytes[2]), 3),
            short => (usize::from(short), 2),
        };
        let (contents, rest) = bytes[head..].split_at(length);
        if bytes[0] & 0x20 == 0 {
            return (Self::Leaf(bytes[0], contents.to_vec()), rest);
        }
        let (mut children, mut left) = (Vec::new(), contents);
        while !left.is_empty() {
            let (child, after) = Self::first(left);
            children.push(child);
            left = after;
        }
        (Self::Tree(bytes[0], children), rest)
    }

    pub fn der(&self) -> Vec<u8> {
        match self {
            Self::Leaf(tag, contents) => der(*tag, &[contents]),
            Self::Tree(tag, children) => {
                der(*tag, &[&children.iter().flat_map(Self::der).collect::<Vec<u8>>()])
            }
        }
    }

    pub fn children(&mut self) -> &mut Vec<Self> {
        match self {
            Self::Tree(_, children) => children,
            Self::Leaf(tag, _) => panic!("{tag:#x} is a leaf"),
        }
    }

    /// The descendant by places.
    pub fn at(&mut self, places: &[usize]) -> &mut Self {
        places.iter().fold(self, |node, place| &mut node.children()[*place])
    }

    /// The SignedData of a reply: version, digests, content, certificates, signers.
    pub fn signed_data(&mut self) -> &mut Self {
        self.at(&[1, 1, 0])
    }

    /// The SignerInfo of a reply.
    pub fn signer(&mut self) -> &mut Self {
        self.signed_data().children().last_mut().unwrap().at(&[0])
    }
}
