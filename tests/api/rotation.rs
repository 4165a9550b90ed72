//! Rotation against a model: random interleavings of refreshes with any token so far, of time, of logouts, on two
//! instances over one database. The model is the contract in thirty lines; whatever the two disagree on, proptest shrinks.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::sessions::{at, claims, move_rotations, refresh, text, two_instances};
use crate::support::client::Client;
use crate::support::eventually;

/// One thing that happens, at instance 0 or 1, to session 0 or 1 of a user.
#[derive(Debug, Clone)]
enum Step {
    /// A refresh with the token that is so many generations behind the newest.
    Refresh {
        instance: usize,
        session: usize,
        behind: usize,
    },
    /// So many seconds pass. No sum of those that occur is near sixty, for some real time passes too.
    Pass(i64),
    Logout {
        instance: usize,
        session: usize,
    },
    LogoutEverywhere {
        instance: usize,
        session: usize,
    },
}

/// Weighed so that sessions live long enough to be interesting.
fn step() -> impl Strategy<Value = Step> {
    let place = || (0..2_usize, 0..2_usize);
    let behind = prop_oneof![12 => Just(0_usize), 24 => Just(1), 1 => 2..4_usize];
    prop_oneof![
        24 => (place(), behind).prop_map(|((instance, session), behind)| Step::Refresh {
            instance,
            session,
            behind,
        }),
        12 => prop_oneof![3 => Just(24), 2 => Just(41)].prop_map(Step::Pass),
        1 => place().prop_map(|(instance, session)| Step::Logout { instance, session }),
        1 => place().prop_map(|(instance, session)| Step::LogoutEverywhere { instance, session }),
    ]
}

/// What the contract says of a session.
struct Model {
    /// A refresh token of each generation so far; the last is the newest.
    tokens: Vec<String>,
    /// The access token that was issued last.
    access: String,
    alive: bool,
    /// Seconds since the newest generation came to be.
    age: i64,
}

impl Model {
    fn of(client: &Client) -> Model {
        Model {
            tokens: vec![client.refresh_token.clone().unwrap()],
            access: client.token.clone().unwrap(),
            alive: true,
            age: 0,
        }
    }

    /// A refresh with the token of this place in `tokens`: which place its successor has, if it counts.
    fn refresh(&mut self, place: usize) -> Option<usize> {
        let newest = self.tokens.len() - 1;
        let counts = self.alive && (place == newest || place + 1 == newest && self.age < 60);
        if !counts {
            self.alive = false; // theft, or dead already
            return None;
        }
        if place == newest {
            self.age = 0;
        }
        Some(place + 1)
    }
}

#[test]
fn rotation_is_as_the_model_says() {
    let (one, two, database) = two_instances();
    let servers = [&one, &two];
    one.client().new_user("ivan@example.com");
    let dead = RefCell::new(Vec::new());
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 32,
        failure_persistence: None, // the seed is in the failure's text, and the steps are short
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&vec(step(), 1..32), |steps| {
        let logins = [0, 1].map(|n: usize| servers[n].client().login("ivan@example.com", "123456"));
        let mut models = [Model::of(&logins[0]), Model::of(&logins[1])];
        for step in &steps {
            match *step {
                Step::Refresh { instance, session, behind } => {
                    let model = &mut models[session];
                    let was_alive = model.alive;
                    let place = (model.tokens.len() - 1).saturating_sub(behind);
                    let answer = refresh(servers[instance], &model.tokens[place]);
                    match model.refresh(place) {
                        None => prop_assert_eq!(answer.status, 401, "{:?}", step),
                        Some(successor) => {
                            prop_assert_eq!(answer.status, 200, "{:?}: {}", step, answer.text());
                            let token = text(&answer, "refresh_token");
                            prop_assert_eq!(&claims(&token)["gen"], successor + 1, "{:?}", step);
                            model.access = text(&answer, "access_token");
                            model.tokens.truncate(successor);
                            model.tokens.push(token);
                        }
                    }
                    // Whether it lives on or just ended: this instance knows at once.
                    if was_alive {
                        let client = servers[instance].client().with_token(&model.access);
                        let expected = if model.alive { 200 } else { 401 };
                        prop_assert_eq!(client.get("/api/users/me").send().status, expected);
                    }
                }
                Step::Pass(seconds) => {
                    move_rotations(&database, seconds);
                    models.iter_mut().for_each(|model| model.age += seconds);
                }
                Step::Logout { instance, session } => {
                    let client = at(servers[instance], &logins[session]);
                    let status = client.request("POST", "/api/auth/logout").send().status;
                    // A dead session's token may count for a moment more where it did not end; it ends nothing.
                    prop_assert!(status == 204 || !models[session].alive && status == 401);
                    models[session].alive = false;
                }
                Step::LogoutEverywhere { instance, session } => {
                    if models[session].alive {
                        let client = at(servers[instance], &logins[session]);
                        let all = client.request("POST", "/api/auth/logout?everywhere=true");
                        prop_assert_eq!(all.send().status, 204);
                        models.iter_mut().for_each(|model| model.alive = false);
                    }
                }
            }
        }
        let mut behind = database.client();
        for (model, login) in models.iter().zip(&logins) {
            let id = claims(&model.access)["sid"].as_i64().unwrap();
            let row = behind.query("select from sessions where id = $1", &[&id]).unwrap();
            prop_assert_eq!(row.len(), usize::from(model.alive));
            for token in [&model.access, login.token.as_ref().unwrap()] {
                if !model.alive {
                    dead.borrow_mut().push(token.clone());
                    continue;
                }
                for server in servers {
                    let client = server.client().with_token(token);
                    prop_assert_eq!(client.get("/api/users/me").send().status, 200);
                }
            }
        }
        Ok(())
    });
    outcome.unwrap();
    // In the end, every token of a session that ended is dead everywhere.
    let dead = dead.into_inner();
    assert!(dead.len() > 20, "the steps were too kind");
    for (token, server) in dead.iter().flat_map(|token| servers.map(|server| (token, server))) {
        let client = server.client().with_token(token);
        eventually("the access token is dead", || client.get("/api/users/me").send().status == 401);
    }
}
