//! Accounts: what a user sends to sign up, to log in and to change an account, and what the API shows of users.

use std::fmt;

use chrono::{DateTime, Utc};

use super::fields::{FORM, Fields, FromFields, JSON};
use super::rules::{Doc, Email, Integer, OneOf, PasswordRule, Text};
use super::shape::{rfc3339, shape};

/// A password in the clear, on its way from a body to the hash; never printed, never stored.
#[derive(Default)]
pub struct Password(String);

impl Password {
    /// Takes the text as it is.
    pub fn new(text: &str) -> Password {
        Password(text.to_owned())
    }

    /// The text, only for hashing and verifying.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

shape! {
    /// A user as the API shows it.
    #[derive(Debug, Clone)]
    pub struct User as "User" {
        /// Unique over all users.
        pub id: i64 = { "examples": [4815162342108i64] },
        /// A name to show, not unique.
        pub username: String = { "examples": ["Іван"] },
        /// In lower case, unique.
        pub email: String = { "format": "email", "examples": ["ivan@example.com"] },
        /// When the user signed up.
        #[serde(serialize_with = "rfc3339")]
        pub created_at: DateTime<Utc>,
    }
}

shape! {
    /// A session as its user sees it.
    #[derive(Debug)]
    pub struct ListedSession as "Session" {
        /// Unique over all users.
        pub id: i64 = { "examples": [2718281828459i64] },
        /// When it began, with a login.
        #[serde(serialize_with = "rfc3339")]
        pub created_at: DateTime<Utc>,
        /// When its tokens were last refreshed.
        #[serde(serialize_with = "rfc3339")]
        pub last_used_at: DateTime<Utc>,
        /// The program that logged in, as it named itself.
        pub user_agent: Option<String> = { "examples": ["curl/8.14.1"] },
        /// The address that it logged in from.
        pub ip: Option<String> = { "examples": ["203.0.113.7"] },
        /// Whether it is the session of this request.
        pub current: bool = { "examples": [true] },
    }
}

shape! {
    /// An API token as its user sees it.
    #[derive(Debug)]
    pub struct ApiToken as "ApiToken" {
        /// Unique over all users.
        pub id: i64 = { "examples": [1618033988749i64] },
        /// What its user calls it.
        pub name: String = { "examples": ["Nightly backup"] },
        /// Whether it may only read, or write, too.
        pub scope: &'static str = { "enum": [ApiToken::READ, ApiToken::WRITE] },
        /// When it was made.
        #[serde(serialize_with = "rfc3339")]
        pub created_at: DateTime<Utc>,
        /// When it ends.
        #[serde(serialize_with = "rfc3339")]
        pub expires_at: DateTime<Utc>,
    }
}

#[allow(missing_docs)]
impl ApiToken {
    pub const READ: &str = "read";
    pub const WRITE: &str = "write";
}

const USERNAME: Text = Text::line(50, "Іван");

/// A body of `POST /api/auth/signup`.
#[derive(Debug)]
pub struct Signup {
    /// 1–50 characters.
    pub username: String,
    /// In lower case.
    pub email: String,
    /// Checked against the rule of new passwords.
    pub password: Password,
}

impl FromFields for Signup {
    const NAME: &'static str = "Signup";

    fn from_fields(fields: &mut Fields<'_>) -> Signup {
        let new_password = fields.new_password;
        Signup {
            username: fields.required("username", &USERNAME),
            email: fields.required("email", &Email).to_lowercase(),
            password: fields.required("password", &new_password),
        }
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

impl FromFields for Login {
    const MEDIA_TYPES: &'static [&'static str] = &[JSON, FORM];
    const NAME: &'static str = "Login";

    /// The address is not checked for its shape: an address that cannot exist is an unknown user, 401. OAuth2 clients name
    /// the grant type; there is only one that has a password.
    fn from_fields(fields: &mut Fields<'_>) -> Login {
        let mut name = "email";
        if fields.is_form {
            fields.optional("grant_type", &PASSWORD_GRANT);
            name = "username";
        }
        let email = fields.required(name, &Text::line(254, "ivan@example.com")).to_lowercase();
        Login { email, password: fields.required("password", &PasswordRule::GIVEN) }
    }
}

/// A body of `PATCH /api/users/me`.
#[derive(Debug)]
pub struct ChangeAccount {
    /// The new name.
    pub username: String,
    /// The new address, in lower case.
    pub email: String,
    /// The current password, which a new address needs.
    pub password: Option<Password>,
}

impl FromFields for ChangeAccount {
    const PATCH_NAME: &'static str = "UserPatch";

    fn from_fields(fields: &mut Fields<'_>) -> ChangeAccount {
        ChangeAccount {
            username: fields.required("username", &USERNAME),
            email: fields.required("email", &Email).to_lowercase(),
            password: fields.optional("current_password", &PasswordRule::GIVEN),
        }
    }
}

/// A body of `PUT /api/users/me/password`.
#[derive(Debug)]
pub struct ChangePassword {
    /// The current password.
    pub current: Password,
    /// The new password.
    pub new: Password,
}

impl FromFields for ChangePassword {
    const NAME: &'static str = "PasswordChange";

    fn from_fields(fields: &mut Fields<'_>) -> ChangePassword {
        let new_password = fields.new_password;
        let current = fields.required("current_password", &PasswordRule::GIVEN);
        ChangePassword { current, new: fields.required("new_password", &new_password) }
    }
}

/// A body of `DELETE /api/users/me`.
#[derive(Debug)]
pub struct DeleteAccount {
    /// The current password, to confirm the deletion.
    pub password: Password,
}

impl FromFields for DeleteAccount {
    const NAME: &'static str = "AccountDeletion";

    fn from_fields(fields: &mut Fields<'_>) -> DeleteAccount {
        DeleteAccount { password: fields.required("password", &PasswordRule::GIVEN) }
    }
}

/// A body of `POST /api/auth/tokens`.
#[derive(Debug)]
pub struct TokenDraft {
    /// 1–50 characters.
    pub name: String,
    /// The current password.
    pub password: Password,
    /// Whether it may write.
    pub may_write: bool,
    /// The days until it ends.
    pub days: i32,
}

impl FromFields for TokenDraft {
    const NAME: &'static str = "ApiTokenInput";

    fn from_fields(fields: &mut Fields<'_>) -> TokenDraft {
        const READ: &str = ApiToken::READ;
        let scope = OneOf { choices: &[(READ, READ), (ApiToken::WRITE, ApiToken::WRITE)] };
        let days = Doc(Integer { range: 1..=365 }, "The days until it ends.");
        TokenDraft {
            name: fields.required("name", &Text::line(50, "Nightly backup")),
            password: fields.required("password", &PasswordRule::GIVEN),
            may_write: fields.or_default("scope", &Doc(scope, "Whether it may only read, or write, too."), READ)
                != READ,
            days: fields.or_default("expires_in_days", &days, 90) as i32,
        }
    }
}
