-- What a restore that drops its own objects puts right.
DELETE FROM vals WHERE id > 3; UPDATE vals SET t = 'changed'; TRUNCATE sale; INSERT INTO base VALUES (9);
ALTER TABLE vals ADD added int; ALTER TABLE numbered RENAME note TO noted; ALTER TYPE mood ADD VALUE 'new';
DROP INDEX vals_gin; DROP VIEW second_of_two; DROP FUNCTION set_of; DROP TABLE no_columns; DROP RULE "no; delete" ON booking;
COMMENT ON TABLE vals IS 'changed'; GRANT ALL ON vals TO other; SELECT nextval('odd'), setval('numbered_ser_seq', 1000);
REFRESH MATERIALIZED VIEW sums; ALTER TABLE secret DISABLE ROW LEVEL SECURITY; ALTER TABLE numbered DISABLE TRIGGER ALL;
SELECT lo_unlink(100001), lo_put(100002, 0, 'changed'); ALTER TABLE sale DETACH PARTITION sale_20;
CREATE OR REPLACE FUNCTION lowered(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT t';
