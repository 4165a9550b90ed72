-- Ends the API tokens of all users. No index: it reads the whole table.
delete from api_tokens
