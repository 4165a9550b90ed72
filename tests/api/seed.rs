//! The list of calls that the application before this one was shown with: they go on working as they were typed.

use serde_json::json;

use crate::support::server::Server;

/// The sample users' password.
const PASSWORD: &str = "123456";

#[test]
fn the_calls_of_the_seed_work_as_typed() {
    let (server, _database) = Server::with_database();
    let nobody = server.client();
    for (name, email) in [("Іван", "ivan@gmail.com"), ("Оксана", "oksana@gmail.com")] {
        let body = json!({ "username": name, "email": email, "password": PASSWORD });
        nobody.post("/api/auth/signup", &body).send().expect(201);
    }
    for path in ["/healthchecker", "/api/healthchecker"] {
        let health = nobody.get(path).send().expect(200).json();
        assert!(health["message"].is_string(), "{health}");
    }
    let ivan = nobody.login("ivan@gmail.com", PASSWORD);
    let oksana = nobody.login("oksana@gmail.com", PASSWORD);
    let birthday = |days: i64| {
        let day = chrono::Utc::now().date_naive() + chrono::Duration::days(days);
        // A year that has every day, so that the test runs on 29 February too.
        format!("1996-{}", day.format("%m-%d"))
    };
    let book = [
        ("Іван", "Франко", "franko@gmail.com", birthday(1)),
        ("Ольга", "Шевченко", "olha@ukr.net", birthday(9)),
        ("Олег", "Шевченко", "oleg@gmail.com", birthday(30)),
        ("Степан", "Бандура", "stepan@example.com", birthday(100)),
    ];
    for (first_name, last_name, email, birthday) in &book {
        ivan.new_contact(&json!({
            "first_name": first_name, "last_name": last_name, "email": email, "phone_number": "+380501234567",
            "birthday": birthday, "additional_info": "from the seed",
        }));
    }
    let names = |path: &str| ivan.get(path).send().expect(200).names();
    let all = ["Іван", "Ольга", "Олег", "Степан"];
    assert_eq!(names("/api/contacts"), all);
    assert_eq!(names("/api/contacts/"), all);
    let one = ivan.get("/api/contacts/1").send().expect(200).json();
    assert_eq!((&one["id"], &one["first_name"]), (&json!(1), &json!("Іван")));
    oksana.get("/api/contacts/1").send().expect(404);
    assert_eq!(names("/api/contacts?email=gmail"), ["Іван", "Олег"]);
    assert_eq!(names("/api/contacts/?first_name=Іван"), ["Іван"]);
    assert_eq!(names("/api/contacts/?first_name=О&last_name=Шевченко"), ["Ольга", "Олег"]);
    assert_eq!(names("/api/contacts?skip=1"), all[1..]);
    assert_eq!(names("/api/contacts/upcoming_birthdays"), ["Іван"]);
    assert_eq!(names("/api/contacts/upcoming_birthdays/"), ["Іван"]);
    assert_eq!(names("/api/contacts/upcoming_birthdays?days=10"), ["Іван", "Ольга"]);
    assert_eq!(names("/api/contacts/upcoming_birthdays?days=10&skip=1"), ["Ольга"]);
}
