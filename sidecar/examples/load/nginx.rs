//! nginx with `grpc_pass`, configured as a plain reverse proxy that keeps its connections.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running nginx; stopped when dropped.
pub(crate) struct Nginx {
    pub(crate) addr: SocketAddr,
    child: Child,
}

impl Nginx {
    /// Starts nginx in front of `upstream`; nothing, if there is none on PATH.
    pub(crate) fn start(folder: &Path, upstream: SocketAddr) -> Option<Self> {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = folder.join("nginx");
        std::fs::create_dir_all(&folder).unwrap();
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, text(&folder, addr, upstream)).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(std::path::absolute(&configuration).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let nginx = Self { addr, child };
        for _ in 0..100 {
            if TcpStream::connect(addr).is_ok() {
                return Some(nginx);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nginx does not answer on {addr}; see {}", folder.join("error.log").display());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn text(folder: &Path, addr: SocketAddr, upstream: SocketAddr) -> String {
    let folder = std::path::absolute(folder).unwrap();
    let folder = folder.display();
    format!(
        "daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  http2_max_concurrent_streams 1024;
  client_max_body_size 64m;
  upstream model {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen {addr} http2;
    location / {{ grpc_pass grpc://model; }}
  }}
}}
"
    )
}
