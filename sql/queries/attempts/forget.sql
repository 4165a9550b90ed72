-- Forgets the failures of an account, from every network: the operator opens it.
-- $1 subject. Index: login_attempts_pkey.
delete from login_attempts where subject = $1
