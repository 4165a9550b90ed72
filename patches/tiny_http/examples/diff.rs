//! Prints what the edits change in the published sources: `diff -ru` of the two folders.
//! The published files that the build leaves out are not shown.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let published = concat!(env!("TINY_HTTP_PUBLISHED"), "/src");
    let edited = concat!(env!("OUT_DIR"), "/tiny_http");
    for file in ["lib.rs", "common.rs", "request.rs", "response.rs"] {
        let status = Command::new("diff")
            .args(["-u", "--label", &format!("tiny_http-0.12.0/src/{file}")])
            .args(["--label", &format!("edited/{file}")])
            .arg(format!("{published}/{file}"))
            .arg(format!("{edited}/{file}"))
            .status();
        // diff says 1 for "they differ", 2 for trouble.
        match status.map(|s| s.code()) {
            Ok(Some(0 | 1)) => {}
            other => {
                eprintln!("diff of {file} failed: {other:?}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
