-- Closes a user's calendar.
-- $1 user. Index: calendars_pkey.
delete from calendars where user_id = $1
