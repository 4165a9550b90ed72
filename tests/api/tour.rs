//! The tour of README.md: every command is run as it stands there, by bash, and its answer compared.

use std::process::Command;

use crate::support::server::Server;

/// A command and what README says it prints.
struct Step {
    command: String,
    prints: String,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let blocks = readme.split("```console\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or(""));
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), prints: String::new() }),
            (None, Some(step)) => step.prints += &format!("{line}\n"),
            (None, None) => panic!("the tour begins with an answer: {line}"),
        }
    }
    steps
}

/// What differs from run to run, made the same: tokens, request ids, secrets, instants.
fn normalized(text: &str) -> String {
    let mut text = text.trim().to_owned();
    for (mark, ends) in
        [("{\"id\":", ","), ("eyJ", "\""), ("\"request_id\":\"", "\""), ("/api/calendar/", "."), ("contactd_", "\"")]
    {
        let mut done = 0;
        while let Some(at) = text[done..].find(mark).map(|at| done + at + mark.len()) {
            let end = text[at..].find(ends).map_or(text.len(), |end| at + end);
            text.replace_range(at..end, "…");
            done = at;
        }
    }
    let mut words: Vec<String> = text.split_inclusive(['"', ',']).map(str::to_owned).collect();
    for word in &mut words {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if digits == 14 && word.contains('T') && word.ends_with("Z\"") {
            *word = "an instant\"".to_owned();
        }
    }
    words.concat()
}

/// What the tour imports, as a phone, Google and a Ukrainian Outlook write it.
const FILES: [&str; 3] = ["phone.vcf", "google.csv", "outlook.csv"];

#[test]
fn the_tour_of_the_readme_is_true() {
    let (server, _database) = Server::with_database();
    let steps = steps(include_str!("../../README.md"));
    assert!(steps.len() > 10, "the tour has {} steps", steps.len());

    // One shell runs all commands, so that a variable lives on; a line that nobody prints parts their answers.
    const MARK: &str = "--- end of a step ---";
    let script: String = steps.iter().map(|step| format!("{}\necho '{MARK}'\n", step.command)).collect();
    let script = script.replace("127.0.0.1:8000", &server.address.to_string());
    let folder = std::env::temp_dir().join(format!("contactd-tour-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the tour's files");
    for name in FILES {
        std::fs::copy(format!("docs/tour/{name}"), folder.join(name)).expect("the folder can be written");
    }
    let output = Command::new("bash").arg("-c").arg(script).current_dir(&folder).output().expect("bash is there");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");

    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let end = format!("{MARK}\n");
    let mut answers = printed.split(&end);
    for step in steps {
        let answer = answers.next().unwrap_or("");
        let answer = answer.replace(&server.address.to_string(), "127.0.0.1:8000");
        assert_eq!(normalized(&answer), normalized(&step.prints), "\n{}", step.command);
    }
}
