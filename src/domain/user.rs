//! Accounts: who signs up, who signs in.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::fields::{Fields, FromFields};
use super::rules::{Email, OneOf, PasswordRule, Text};

/// A password in the clear, on its way from a body to the hash; never printed, never stored.
#[derive(Default)]
pub struct Password(String);

impl Password {
    /// Takes the text as it is.
    pub fn new(text: &str) -> Password {
        Password(text.to_owned())
    }

    /// The text, for hashing and verifying alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A user as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub struct User {
    /// Unique over all users.
    pub id: i64,
    /// A name to show, not unique.
    pub username: String,
    /// In lower case, unique.
    pub email: String,
    /// When the user signed up.
    #[serde(serialize_with = "super::contact::rfc3339")]
    pub created_at: DateTime<Utc>,
}

const USERNAME: Text = Text::line(50, "Іван");

/// A body of `POST /api/auth/signup`.
#[derive(Debug)]
pub struct Signup {
    /// 1–50 characters.
    pub username: String,
    /// In lower case.
    pub email: String,
    /// Long enough.
    pub password: Password,
}

impl FromFields for Signup {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Signup> {
        let new_password = PasswordRule::new_password(fields);
        let username = fields.required("username", &USERNAME);
        let email = fields.required("email", &Email);
        let password = fields.required("password", &new_password);
        Some(Signup { username: username?, email: email?.to_lowercase(), password: password? })
    }
}

/// A login: JSON `email` and `password`, or an OAuth2 password form (RFC 6749 §4.3.2), where the address is called `username`.
#[derive(Debug)]
pub struct Login {
    /// In lower case.
    pub email: String,
    /// As it was typed.
    pub password: Password,
}

const PASSWORD_GRANT: OneOf<()> = OneOf { choices: &[("password", ())] };

impl Login {
    /// Reads the JSON body. The address is not checked for its shape: an address that cannot exist is an unknown user, 401.
    pub fn read_json(fields: &mut Fields<'_>) -> Option<Login> {
        Self::read(fields, "email")
    }

    /// Reads the OAuth2 form. Clients send the kind of grant along; there is but one that has a password.
    pub fn read_form(fields: &mut Fields<'_>) -> Option<Login> {
        fields.optional("grant_type", &PASSWORD_GRANT);
        Self::read(fields, "username")
    }

    fn read(fields: &mut Fields<'_>, name: &'static str) -> Option<Login> {
        let email = fields.required(name, &Text::line(254, "ivan@example.com"));
        let password = fields.required("password", &PasswordRule::GIVEN);
        Some(Login { email: email?.to_lowercase(), password: password? })
    }
}

/// A body of `PATCH /api/users/me`.
#[derive(Debug)]
pub struct Rename {
    /// The new name.
    pub username: String,
}

impl FromFields for Rename {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Rename> {
        Some(Rename { username: fields.required("username", &USERNAME)? })
    }
}

/// A body of `PUT /api/users/me/password`.
#[derive(Debug)]
pub struct ChangePassword {
    /// The one in force.
    pub current: Password,
    /// The one to be.
    pub new: Password,
}

impl FromFields for ChangePassword {
    fn from_fields(fields: &mut Fields<'_>) -> Option<ChangePassword> {
        let new_password = PasswordRule::new_password(fields);
        let current = fields.required("current_password", &PasswordRule::GIVEN);
        let new = fields.required("new_password", &new_password);
        Some(ChangePassword { current: current?, new: new? })
    }
}

/// A body of `DELETE /api/users/me`.
#[derive(Debug)]
pub struct DeleteAccount {
    /// The one in force, asked for again.
    pub password: Password,
}

impl FromFields for DeleteAccount {
    fn from_fields(fields: &mut Fields<'_>) -> Option<DeleteAccount> {
        let password = fields.required("password", &PasswordRule::GIVEN);
        Some(DeleteAccount { password: password? })
    }
}
