//! nginx, which serves a folder over HTTPS, curl, which fetches from it, and aria2, which fetches from several at once.

use std::{
    fmt::Write,
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rcgen::generate_simple_self_signed;

use crate::{Outcome, process::Server, programs::is_there};

/// A web server on this machine.
pub(crate) struct Web {
    server: Server,
    certificate: PathBuf,
    port: u16,
}

impl Web {
    /// Serves a folder; `None` where there is no nginx or no curl.
    pub(crate) fn start(folder: &Path, shared: &Path) -> Outcome<Option<Self>> {
        if let Some(missing) = ["nginx", "curl"].into_iter().find(|program| !is_there(program)) {
            eprintln!("!!! {missing} is not on this machine: nginx and curl do not race");
            return Ok(None);
        }
        fs::create_dir_all(folder)?;
        let made = generate_simple_self_signed(["localhost".to_owned()])?;
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        // Free at this moment; nobody else is expected to take it.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let place = folder.display();
        let config = format!(
            "daemon off; worker_processes auto; pid {place}/pid; error_log {place}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;\n\
             client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};\n\
             uwsgi_temp_path {place}; scgi_temp_path {place};\n\
             server {{ listen 127.0.0.1:{port} ssl; http2 on; root {};\n\
             ssl_protocols TLSv1.3; ssl_certificate {}; ssl_certificate_key {}; }} }}\n",
            shared.display(),
            certificate.display(),
            key.display(),
        );
        let path = folder.join("nginx.conf");
        // Older versions know `http2` only as a word after `listen`.
        let mut test = Command::new("nginx");
        fs::write(&path, &config)?;
        if !test.args(["-t", "-q", "-c"]).arg(&path).output()?.status.success() {
            fs::write(&path, config.replace("ssl; http2 on;", "ssl http2;"))?;
        }
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&path);
        let server = Server::start_silent(command)?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("nginx does not listen".into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(Self { server, certificate, port }))
    }

    pub(crate) fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }

    /// curl for one file.
    pub(crate) fn fetch(&self, name: &str, to: &Path) -> Command {
        let mut curl = self.curl();
        curl.arg("-o").arg(to).arg(self.url(name));
        curl
    }

    /// curl for many files, many at a time over few connections.
    pub(crate) fn fetch_all(&self, names: &[String], to: &Path) -> Outcome<Command> {
        let mut config = String::new();
        for name in names {
            writeln!(
                config,
                "url = \"{}\"\noutput = \"{}\"",
                self.url(name),
                to.join(name).display()
            )?;
        }
        let path = self.certificate.with_file_name("curl.conf");
        fs::write(&path, config)?;
        let mut curl = self.curl();
        curl.args(["--parallel", "--parallel-max", "64", "--create-dirs", "-K"]).arg(path);
        Ok(curl)
    }

    /// aria2 for one file from all of these at once; `None` where it is not on this machine.
    pub(crate) fn fetch_from_all(webs: &[Self], name: &str, to: &Path) -> Outcome<Option<Command>> {
        let (Some(first), Some(folder), Some(file)) = (webs.first(), to.parent(), to.file_name())
        else {
            return Ok(None);
        };
        if !is_there("aria2c") {
            eprintln!("!!! aria2c is not on this machine: it does not race");
            return Ok(None);
        }
        let mut certificates = String::new();
        for web in webs {
            certificates += &fs::read_to_string(&web.certificate)?;
        }
        let trusted = first.certificate.with_file_name("trusted.pem");
        fs::write(&trusted, certificates)?;
        let mut aria2 = Command::new("aria2c");
        aria2.args(["--no-conf", "--quiet", "--min-tls-version=TLSv1.3", "--file-allocation=none"]);
        aria2.args(["--max-connection-per-server=1", "--min-split-size=1M"]);
        aria2.arg(format!("--split={}", webs.len()));
        aria2.arg(format!("--ca-certificate={}", trusted.display()));
        aria2.arg("--dir").arg(folder).arg("--out").arg(file);
        aria2.args(webs.iter().map(|web| web.url(name)));
        Ok(Some(aria2))
    }

    fn curl(&self) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--tlsv1.3", "--cacert"]);
        curl.arg(&self.certificate);
        curl
    }

    fn url(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.port)
    }
}
