-- Forgets the failures of an account: whoever knows the password is no guesser.
-- $1 subject. Index: attempts_pkey.
delete from attempts where subject = $1
