-- Finding sessions by parts of their id and name, and by the words of their messages.

-- Id and name, as they are compared: in any case, a long name cut (database.py: `searchable`).
CREATE TABLE session_text (
  id INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  text TEXT NOT NULL
);

-- Every three characters in a row: https://sqlite.org/fts5.html#the_trigram_tokenizer. `case_sensitive`, for case is
-- gone already; without positions, for what is found is compared with session_text.
CREATE VIRTUAL TABLE session_grams USING fts5(
  text, content = 'session_text', content_rowid = 'id',
  tokenize = 'trigram case_sensitive 1', detail = none, columnsize = 0
);
-- What is deleted is taken out of the index at once, not only hidden.
INSERT INTO session_grams (session_grams, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER session_added AFTER INSERT ON session BEGIN
  INSERT INTO session_text VALUES (new.id, new.app, searchable(new.session_id, new.name));
END;
CREATE TRIGGER session_renamed AFTER UPDATE OF name ON session WHEN old.name IS NOT new.name BEGIN
  UPDATE session_text SET text = searchable(new.session_id, new.name) WHERE id = new.id;
END;
CREATE TRIGGER session_deleted AFTER DELETE ON session BEGIN
  DELETE FROM session_text WHERE id = old.id;
END;
CREATE TRIGGER session_text_added AFTER INSERT ON session_text BEGIN
  INSERT INTO session_grams (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER session_text_changed AFTER UPDATE ON session_text BEGIN
  INSERT INTO session_grams (session_grams, rowid, text) VALUES ('delete', old.id, old.text);
  INSERT INTO session_grams (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER session_text_deleted AFTER DELETE ON session_text BEGIN
  INSERT INTO session_grams (session_grams, rowid, text) VALUES ('delete', old.id, old.text);
END;
INSERT INTO session_text SELECT id, app, searchable(session_id, name) FROM session;

-- Chunks whose words are not in the index yet, in order of arrival; `at` is when they came, in ms since 1970.
CREATE TABLE unindexed (
  place INTEGER PRIMARY KEY,
  chunk INTEGER NOT NULL,
  at INTEGER NOT NULL
);
CREATE TRIGGER chunk_added AFTER INSERT ON chunk BEGIN
  INSERT INTO unindexed (chunk, at) VALUES (new.id, CAST(unixepoch('subsec') * 1000 AS INTEGER));
END;
INSERT INTO unindexed (chunk, at) SELECT id, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM chunk ORDER BY id;

-- What is found by words: a chunk, with the id `chunk << 1`, or where a trace has several owners a single span, with
-- the id `(trace << 32 | number) << 1 | 1`.
CREATE TABLE document (
  id INTEGER PRIMARY KEY,
  -- Its words, compressed: to take it out of the index, all of them have to be named.
  words BLOB NOT NULL
);
-- Documents of which a span was replaced or went to another owner: not to be found until they are indexed anew.
CREATE TABLE stale_document (
  id INTEGER PRIMARY KEY
);

-- Words come made ready (words.py), with spaces between, so all that is left to do is to split them.
CREATE VIRTUAL TABLE message_words USING fts5(
  words, content = '', tokenize = 'ascii', detail = none, columnsize = 0
);
INSERT INTO message_words (message_words, rank) VALUES ('secure-delete', 1);
