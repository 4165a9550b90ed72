//! TLS between the program and Postgres: whom it believes, and that its deadlines hold there, too.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Reply, ask, run};
use crate::support::server::{Setup, command};
use crate::trial::{Trial, alone};
use crate::verdict::{HUNG, until};

/// The folder of the authority's certificate and of the server's, once the cluster of all speaks TLS.
fn certificates() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let cluster = Cluster::shared();
        let folder = cluster.folder().join("tls");
        fs::create_dir(&folder).unwrap();
        let openssl = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let words: Vec<_> = words.iter().map(|word| word.replace('@', folder.to_str().unwrap())).collect();
            run("openssl", &words.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        };
        for name in ["authority", "stranger"] {
            let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
            openssl(&format!("{new} -subj /CN={name} -keyout @/{name}.key -out @/{name}.crt"));
        }
        let address = format!("IP:{}", cluster.address);
        for (name, signer, days, alternative) in [
            ("right", "authority", "2", address.as_str()),
            ("other_host", "authority", "2", "DNS:db.example.com"),
            ("other_authority", "stranger", "2", &address),
            ("expired", "authority", "-1", &address),
        ] {
            let new = "req -newkey rsa:2048 -nodes";
            openssl(&format!("{new} -subj /CN=x -addext subjectAltName={alternative} -keyout @/{name}.key -out @/{name}.csr"));
            let sign = format!("x509 -req -in @/{name}.csr -CA @/{signer}.crt -CAkey @/{signer}.key -copy_extensions copy");
            openssl(&format!("{sign} -days {days} -out @/{name}.crt"));
        }
        let script = r#"chown -R --reference="$0/data" "$0/tls" && chmod 600 "$0"/tls/*.key && chmod 755 "$0/tls"
            { echo 'hostnossl only_tls all all reject'; echo 'hostssl all by_password all scram-sha-256'; cat "$0/data/pg_hba.conf"; } >"$0/hba"
            cat "$0/hba" >"$0/data/pg_hba.conf""#;
        run("bash", &["-euc".as_ref(), script.as_ref(), cluster.folder().as_ref()]);
        let setup = "create role by_password login superuser password 'hunter2'; create database only_tls owner contactd";
        setup.split(';').for_each(|statement| cluster.client("postgres").batch_execute(statement).unwrap());
        present("right");
        folder
    })
}

/// From now on the server shows this certificate.
fn present(name: &str) {
    let (mut client, folder) = (Cluster::shared().client("postgres"), Cluster::shared().folder().join("tls"));
    let path = |kind: &str| folder.join(format!("{name}.{kind}")).display().to_string();
    for statement in [
        "alter system set ssl = on".to_owned(),
        format!("alter system set ssl_cert_file = '{}'", path("crt")),
        format!("alter system set ssl_key_file = '{}'", path("key")),
        "select pg_reload_conf()".to_owned(),
    ] {
        client.batch_execute(&statement).unwrap();
    }
    // Asked of the server by another client, who believes anybody.
    let expected = run("openssl", &["x509".as_ref(), "-in".as_ref(), path("crt").as_ref()]);
    let shown = format!(
        "openssl s_client -starttls postgres -connect {}:5432 </dev/null 2>&1 || true",
        Cluster::shared().address
    );
    until("it shows its certificate", || run("bash", &["-c".as_ref(), shown.as_ref()]).contains(expected.trim()));
}

fn by_tls(cluster: &Cluster, database: &str) -> String {
    let authority = certificates().join("authority.crt");
    format!("{} sslmode=verify-full sslrootcert='{}'", cluster.by_tcp(database), authority.display())
}

fn migrate(url: &str) -> Output {
    command(&[("DATABASE_URL".to_owned(), url.to_owned())]).arg("migrate").output().expect("the program starts")
}

#[test]
fn a_certificate_is_believed_as_far_as_sslmode_says() {
    let _alone = alone();
    let (cluster, folder) = (Cluster::shared(), certificates());
    let url = |mode: &str| {
        let root = if mode.contains("prefer") || mode == "require" { "" } else { "authority.crt" };
        let root = if root.is_empty() { String::new() } else { format!("&sslrootcert={}/{root}", folder.display()) };
        format!("postgres://contactd@{}/only_tls?sslmode={}{root}", cluster.address, mode.trim_end_matches('+'))
    };
    // A plus: with the authority's file, which makes `require` check as `verify-ca` does.
    let modes = ["disable", "prefer", "require", "require+", "verify-ca", "verify-full"];
    for (certificate, refused, why) in [
        ("right", &["disable"][..], ""),
        ("other_host", &["disable", "verify-full"], "not valid for name"),
        ("other_authority", &["disable", "require+", "verify-ca", "verify-full"], "UnknownIssuer"),
        ("expired", &["disable", "require+", "verify-ca", "verify-full"], "Expired"),
    ] {
        present(certificate);
        for mode in modes {
            let output = migrate(&url(mode));
            let said = String::from_utf8(output.stderr).unwrap();
            let expected = if refused.contains(&mode) { 1 } else { 0 };
            assert_eq!(output.status.code(), Some(expected), "{certificate}, {mode}: {said}");
            let told = if mode == "disable" { "no encryption" } else { why };
            assert!(expected == 0 || said.contains(told), "{certificate}, {mode}: {said}");
        }
    }
    present("right");
}

#[test]
fn it_serves_over_tls_and_binds_the_password_to_the_channel() {
    let _alone = alone();
    certificates();
    let cluster = Cluster::shared();
    let database = cluster.new_database();
    let url = by_tls(cluster, &database)
        .replace("user=contactd", "user=by_password password=hunter2 channel_binding=require");
    let server = Setup::at(&url).ready();
    let user = server.client().new_user("ivan@example.com");
    assert_eq!(user.get("/api/contacts").send().status, 200);
    let encrypted = "select count(*) filter (where ssl), count(*) from pg_stat_ssl join pg_stat_activity using (pid) \
        where datname = $1 and application_name = 'contactd'";
    let row = cluster.client("postgres").query_one(encrypted, &[&database]).unwrap();
    let (by_tls, all): (i64, i64) = (row.get(0), row.get(1));
    assert!(by_tls > 0 && by_tls == all, "{by_tls} of {all}");
    assert_eq!(
        migrate(&url.replace("sslmode=verify-full", "sslmode=disable")).status.code(),
        Some(1),
        "nothing to bind to"
    );
}

#[test]
fn over_a_unix_socket_there_is_no_tls_to_ask_for() {
    let _alone = alone();
    certificates();
    let cluster = Cluster::shared();
    let output = migrate(&format!("{} sslmode=require", cluster.by_socket(&cluster.new_database())));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_stopped_postgres_over_tls() {
    let trial = Trial::on(by_tls);
    let direct = trial.cluster.by_tcp(&trial.database);
    let proof = || assert_eq!(ask(&direct), Reply::Silence);
    trial.withstands("stopped, TLS", HUNG, || trial.cluster.freeze(), proof);
}

/// Something that says yes to TLS, and then nothing more.
#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut socket in listener.incoming().flatten() {
            if socket.read_exact(&mut [0; 8]).is_ok() && socket.write_all(b"S").is_ok() {
                held.push(socket);
            }
        }
    });
    let began = Instant::now();
    let output = migrate(&format!("postgres://x@127.0.0.1:{port}/x?sslmode=require"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("did not answer within"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
