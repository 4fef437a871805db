//! A broker with a door for each way of being safe, and the certificates for it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    ports,
    services::{Broker, run},
};

/// The user that the broker knows.
pub const USER: &str = "logdrive";
/// Its password.
pub const PASSWORD: &str = "correct horse battery staple";

/// A broker that listens in plain text, with TLS, with TLS for those with a certificate, and with TLS for users.
pub struct SecureBroker {
    /// For the rig: no TLS and no user.
    pub plain: String,
    /// TLS.
    pub tls: String,
    /// TLS, and clients need a certificate.
    pub mutual: String,
    /// TLS, and users: PLAIN, SCRAM, OAUTHBEARER.
    pub users: String,
    /// Where its certificates are.
    pub dir: PathBuf,
    broker: Broker,
}

impl SecureBroker {
    /// Starts it; `dir` is where its certificates are made.
    pub fn start(name: &str, dir: &Path) -> Self {
        authority(dir, "ca");
        authority(dir, "other-ca");
        certificate(dir, "ca", "broker", 30);
        certificate(dir, "ca", "client", 30);
        certificate(dir, "other-ca", "stranger", 30);
        let [plain, controller, tls, mutual, users] = [(); 5].map(|()| ports::free());
        let extra = dir.join("broker.properties");
        std::fs::write(&extra, properties(dir, [plain, controller, tls, mutual, users])).expect("it can be written");
        let broker = Broker::start_with(name, plain, controller, &extra);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let secure = Self {
            plain: broker.servers.clone(),
            tls: at(tls),
            mutual: at(mutual),
            users: at(users),
            dir: dir.to_owned(),
            broker,
        };
        secure.set_password(PASSWORD);
        secure
    }

    /// Gives the user another password for SCRAM.
    pub fn set_password(&self, password: &str) {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let credentials = format!("{mechanism}=[password={password}]");
            let user = ["--alter", "--entity-type", "users", "--entity-name", USER, "--add-config", &credentials];
            let arguments = [&["ConfigCommand", "--bootstrap-server", &self.plain][..], &user].concat();
            run("kafka/kafka-cli.sh", &arguments, &[]);
        }
    }

    /// Starts it again with a certificate that is good for so many days more.
    pub fn start_again_with_certificate(&self, days: i32) {
        self.broker.stop();
        certificate(&self.dir, "ca", "broker", days);
        self.broker.start_again();
    }

    /// A file with a token that ends in `seconds`.
    pub fn token(&self, seconds: i64) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
        let part = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
        let claims = format!(r#"{{"sub":"{USER}","iat":{},"exp":{}}}"#, now.min(now + seconds) - 60, now + seconds);
        let file = self.dir.join("token");
        std::fs::write(&file, format!("{}.{}.\n", part(r#"{"alg":"none"}"#.to_owned()), part(claims)))
            .expect("it can be written");
        file
    }

    /// The path of a file beside its certificates.
    pub fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

fn properties(dir: &Path, [plain, controller, tls, mutual, users]: [u16; 5]) -> String {
    let listeners = [
        ("PLAINTEXT", plain, "PLAINTEXT"),
        ("CONTROLLER", controller, "PLAINTEXT"),
        ("TLS", tls, "SSL"),
        ("MUTUAL", mutual, "SSL"),
        ("USERS", users, "SASL_SSL"),
    ];
    let addresses = listeners.map(|(name, port, _)| format!("{name}://127.0.0.1:{port}")).join(",");
    let protocols = listeners.map(|(name, _, protocol)| format!("{name}:{protocol}")).join(",");
    let (store, trusted) = (dir.join("broker.store.pem"), dir.join("ca.pem"));
    let module = |name: &str| format!("org.apache.kafka.common.security.{name} required");
    let (scram, plain) = (module("scram.ScramLoginModule"), module("plain.PlainLoginModule"));
    let bearer = module("oauthbearer.OAuthBearerLoginModule");
    format!(
        "group.min.session.timeout.ms=1000\n\
         listeners={addresses}\n\
         listener.security.protocol.map={protocols}\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         listener.name.mutual.ssl.client.auth=required\n\
         sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER\n\
         listener.name.users.plain.sasl.jaas.config={plain} user_{USER}=\"{PASSWORD}\";\n\
         listener.name.users.scram-sha-256.sasl.jaas.config={scram};\n\
         listener.name.users.scram-sha-512.sasl.jaas.config={scram};\n\
         listener.name.users.oauthbearer.sasl.jaas.config={bearer} unsecuredLoginStringClaim_sub=\"broker\";\n",
        store.display(),
        trusted.display()
    )
}

/// Makes one who signs certificates: `name.pem` and `name.key`.
pub(super) fn authority(dir: &Path, name: &str) {
    let subject = format!("/CN={name}");
    let made = ["req", "-x509", "-days", "30", "-subj", &subject, "-keyout", &format!("{name}.key")];
    openssl(dir, &[&made[..], &NEW_KEY, &["-out", &format!("{name}.pem")]].concat());
}

/// Makes a certificate for 127.0.0.1, `name.pem`, its key, and both in one file, `name.store.pem`.
pub(super) fn certificate(dir: &Path, authority: &str, name: &str, days: i32) {
    let (key, asked, signed) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    let asks = ["req", "-subj", &subject, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", &key, "-out", &asked];
    openssl(dir, &[&asks[..], &NEW_KEY].concat());
    let (ca, ca_key, days) = (format!("{authority}.pem"), format!("{authority}.key"), days.to_string());
    let signs = ["x509", "-req", "-in", &asked, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
    openssl(dir, &[&signs[..], &["-copy_extensions", "copy", "-days", &days, "-out", &signed]].concat());
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("it was just made");
    std::fs::write(dir.join(format!("{name}.store.pem")), read(&key) + &read(&signed)).expect("it can be written");
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output().expect("openssl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {} failed:\n{said}", arguments.join(" "));
}
