-- Ends the sessions of all users, and returns them, to be revoked. (Which of them are recent does not tell after a restore, when all seem
-- old.) No index: it reads the whole table.
delete from sessions returning id
