-- What only an exact restore puts right.
DROP TABLE numbered; CREATE TABLE numbered (ser int GENERATED ALWAYS AS IDENTITY, noted text);
CREATE SCHEMA left_over; CREATE TABLE left_over.referring (id int REFERENCES hen, m mood); COMMENT ON SCHEMA left_over IS 'x';
CREATE TABLE "left; over" (id int PRIMARY KEY, v int REFERENCES vals); CREATE VIEW left_over.v AS SELECT t FROM vals;
CREATE MATERIALIZED VIEW left_view AS SELECT * FROM left_over.v; CREATE TYPE left_type AS (m mood); CREATE DOMAIN left_domain AS mood;
CREATE FUNCTION left_function(v vals) RETURNS left_type LANGUAGE sql AS 'SELECT NULL::left_type';
CREATE AGGREGATE left_total(int) (SFUNC = add_up, STYPE = int); CREATE SEQUENCE left_sequence; SELECT lo_from_bytea(100009, 'x');
CREATE TABLE sale_left PARTITION OF sale FOR VALUES FROM ('2029-01-01') TO ('2030-01-01'); CREATE TABLE left_child () INHERITS (base);
CREATE TEXT SEARCH DICTIONARY left_words (TEMPLATE = simple); CREATE STATISTICS left_statistics ON id, t FROM vals;
CREATE OPERATOR ==== (LEFTARG = int, RIGHTARG = int, FUNCTION = add_up); CREATE COLLATION left_collation FROM "C";
CREATE TABLE text_search.left_too (a int); CREATE PUBLICATION left_publication FOR TABLE hen;
DROP SCHEMA "pgMixed.Dot" CASCADE;
