-- One of each thing that an ordinary user can make in a database; FLOAT has a test of its own.
SET NAMES utf8mb4; SET time_zone = '+00:00';
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; -- neither strict nor without zero dates

-- Numbers.
CREATE TABLE numbers (
  id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  b1 bit(1), b9 bit(9), b64 bit(64), t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned,
  m mediumint, mu mediumint unsigned, i int, iu int unsigned, z int(8) zerofill, b bigint, bu bigint unsigned,
  d0 decimal(65), d30 decimal(65,38), du decimal(5,2) unsigned, f double, fu double unsigned, fd double(12,3),
  y year, ok boolean NOT NULL DEFAULT true
) AUTO_INCREMENT = 4000000000;
INSERT INTO numbers VALUES
  (0, b'1', b'111111111', ~0, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 42,
   9223372036854775807, 18446744073709551615, REPEAT('9', 65), CONCAT(REPEAT('9', 27), '.', REPEAT('9', 38)), 999.99,
   1.7976931348623157e308, 5e-324, 123456789.125, 2155, 0),
  (1, b'0', 0, 0, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, 0, -9223372036854775808, 0,
   CONCAT('-', REPEAT('9', 65)), '-0.00000000000000000000000000000000000001', 0, -2.2250738585072014e-308, 0.1,
   -0.001, 1901, 1),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   0.30000000000000004, 9007199254740993, 1e8, 0, 2);

-- Bytes and texts.
CREATE TEMPORARY TABLE hundred_bytes (h text);
INSERT INTO hundred_bytes SELECT GROUP_CONCAT(LPAD(HEX(seq), 2, '0') ORDER BY seq SEPARATOR '') FROM seq_0_to_255;
CREATE TABLE bytes (
  id int PRIMARY KEY, b binary(5), vb varbinary(600), tb tinyblob, bl blob, mb mediumblob, lb longblob NOT NULL,
  tt tinytext, tx text, mt mediumtext, lt longtext, c char(9), v varchar(300) NOT NULL DEFAULT ';''"\\\n`',
  packed text COMPRESSED, packed_bytes blob COMPRESSED
);
INSERT INTO bytes SELECT 1, 'a\0\0', UNHEX(h), LEFT(UNHEX(h), 255), UNHEX(h), UNHEX(REPEAT(h, 300)), UNHEX(h),
  'tiny', '\0\t\r\n\Z\\''"`%_;', REPEAT('medium ', 9000), 'long', 'c', 'v', REPEAT('packed', 99), UNHEX(h)
  FROM hundred_bytes;
INSERT INTO bytes (id, b, vb, lb, tx, c, v) VALUES
  (2, '', 'b\0 \0', '', '-- Dump completed on 2026-11-22  1:02:03\n', ' c ', ' \t '),
  (3, '     ', ' ', '\\', '/*!50003 DROP TABLE x */; DELIMITER ;;\n\\! id\n', '', '\\'),
  (4, NULL, NULL, '''', NULL, NULL, '\\N'), (5, '0x41', '0x', '0x', '\n/*M!999999\\- enable the sandbox mode */ \n', '0x', '0x');
CREATE TABLE texts (
  id int PRIMARY KEY, l varchar(40) CHARACTER SET latin1, l7 char(9) CHARACTER SET latin7 COLLATE latin7_estonian_cs,
  u3 varchar(40) CHARACTER SET utf8mb3 COLLATE utf8mb3_german2_ci, u4 varchar(40) COLLATE utf8mb4_bin,
  uca varchar(40) COLLATE utf8mb4_uca1400_as_cs, nopad varchar(9) COLLATE utf8mb4_nopad_bin,
  raw varchar(40) CHARACTER SET binary, u16 text CHARACTER SET utf16, u32 varchar(40) CHARACTER SET utf32,
  ucs varchar(9) CHARACTER SET ucs2, sj varchar(9) CHARACTER SET sjis, gb text CHARACTER SET gbk, FULLTEXT (u4), UNIQUE (u3(5) DESC)
) DEFAULT CHARSET = latin1 COLLATE = latin1_german1_ci;
INSERT INTO texts VALUES
  (1, 'Zoë €', 'õ', 'ß ẞ', 'a 😀 𝔘 ﷽', 'é', 'a ', 0x00FF27, 'ü 😀', '😀', 'ß', 'ｱ', '中'),
  (2, 0x8190C2A0, '', 'x', '', 'É', 'a', '', '', NULL, '', 'ｶ', '\\''');
CREATE TABLE kinds (
  id int PRIMARY KEY, e enum('a', 'it''s', 'c,d', 'ü;', '\\') DEFAULT 'it''s', s set('x', 'y''', 'z"', 'ß') NOT NULL,
  j json CHECK (JSON_VALID(j)), u uuid DEFAULT UUID(), i6 inet6, i4 inet4
) COMMENT = 'a; comment -- with ''quotes'' "of" all `kinds`, \\ and\na line; /* and 😃 */';
INSERT INTO kinds VALUES
  (1, 'a', 'x,ß', '{"a" : [1, null, "\\u00e9\\\\"], "a": "😀"}', '123e4567-e89b-12d3-a456-426655440000', '::', '0.0.0.0'),
  (2, '\\', '', 'null', '00000000-0000-0000-0000-000000000000', '2001:db8::ff00:42:8329', '255.255.255.255'),
  (3, NULL, 'y'',z"', '[]', NULL, '::ffff:1.2.3.4', NULL), (4, 'no such', 'x', NULL, NULL, NULL, '1.2.3.4');

-- Times.
CREATE TABLE times (
  id int PRIMARY KEY, d date, dt datetime, dt6 datetime(6), t time, t6 time(6), ts timestamp NULL, y year,
  ts6 timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6), zero timestamp NOT NULL DEFAULT 0
);
INSERT INTO times VALUES
  (1, '0000-00-00', '0000-00-00', '0000-00-00 00:00:00.000001', '-838:59:59', '-838:59:59.999999', '0000-00-00', 0, 0, 0),
  (2, '2020-00-00', '2020-05-00 01:02:03', '9999-12-31 23:59:59.999999', '838:59:59', '-00:00:00.000001',
   '1970-01-01 00:00:01', 1970, '2038-01-19 03:14:07.999999', '2026-03-29 00:59:59'),
  -- The hours at which clocks go back and forth, in Europe and in New York.
  (3, '0001-01-01', '2026-10-25 02:30:00', '2026-03-29 02:30:00.5', '00:00:00', '24:00:00', '2026-10-25 00:30:00', 2026,
   '2026-10-25 01:30:00.123456', '2026-11-01 05:30:00'),
  (4, NULL, NULL, NULL, NULL, NULL, '2026-11-01 06:30:00', NULL, '2026-03-08 07:00:00', '2026-03-29 01:00:00');

-- Shapes.
CREATE TABLE shapes (
  id int PRIMARY KEY, g geometry, p point REF_SYSTEM_ID=4326 NOT NULL, l linestring, pg polygon, mp multipoint,
  ml multilinestring, mpg multipolygon, gc geometrycollection, SPATIAL INDEX (p)
);
INSERT INTO shapes VALUES
  (1, ST_GeomFromText('POINT(-1.5e-300 1.7e308)', 3857), ST_GeomFromText('POINT(8.54 47.37)', 4326),
   ST_GeomFromText('LINESTRING(0 0,1 1.5,2 2)'), ST_GeomFromText('POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,2 1,2 2,1 1))', 4326),
   ST_GeomFromText('MULTIPOINT(1 1,2 2)'), ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))'),
   ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))', 4326),
   ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))', 4326)),
  (2, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY', 4326), ST_GeomFromText('POINT(0 0)'), NULL, NULL, NULL, NULL, NULL,
   ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'));

-- Columns.
CREATE TABLE made (
  id bigint unsigned NOT NULL AUTO_INCREMENT, a int NOT NULL COMMENT 'it''s; a "comment" -- \\ of\ntwo lines 😃',
  doubled int GENERATED ALWAYS AS (a * 2) STORED, half decimal(9,2) GENERATED ALWAYS AS (a / 2) VIRTUAL,
  quoted varchar(60) GENERATED ALWAYS AS (CONCAT(a, ';''"\\ü 😀')) VIRTUAL,
  hidden int INVISIBLE DEFAULT 7, stamp varchar(60) DEFAULT (CONCAT('x''', a + 1)), `at` datetime DEFAULT current_timestamp(),
  low int CHECK (low < 100), CONSTRAINT `a; check` CHECK (a <> 13 AND stamp <> 'it''s'), PRIMARY KEY (id),
  UNIQUE KEY `u; k` (doubled, a), KEY half_desc (half DESC, a), KEY off (low) IGNORED COMMENT 'ignored; yes'
) AUTO_INCREMENT = 18446744073709551000 ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8;
INSERT INTO made (id, a, hidden, `at`) VALUES (0, 1, 1, '2020-01-01'), (1, -2147483648 DIV 2, NULL, NULL), (77, 3, 3, NULL);
CREATE TABLE long_unique (t text, n int, UNIQUE (t), KEY prefix (t(7))) PAGE_CHECKSUM = 1 STATS_PERSISTENT = 0;
INSERT INTO long_unique VALUES ('a', 1), ('a longer text', 2), (NULL, 3), (NULL, 3);
CREATE TABLE periods (
  room int, s date, e date, PERIOD FOR stay (s, e), UNIQUE (room, stay WITHOUT OVERLAPS)
);
INSERT INTO periods VALUES (1, '2020-01-01', '2020-01-02'), (1, '2020-01-02', '2020-01-03');
CREATE TABLE no_key (a int, b text); INSERT INTO no_key VALUES (1, 'same'), (1, 'same'), (NULL, NULL);
CREATE TABLE empty_table (a int PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 500;

-- Names.
CREATE TABLE `-t %s @x:y;z 'q' "dq" ``b`` \ dot.ted/ ß` (
  `-c %s
; 'q' "dq" \ ü` int PRIMARY KEY, `select` text, `b``t` int, `*` int, `DELIMITER ;;` int, KEY `k; ``'"` (`*`)
);
INSERT INTO `-t %s @x:y;z 'q' "dq" ``b`` \ dot.ted/ ß` VALUES (1, 'a', 0, 2, 3);
CREATE TABLE `new
line` (id int PRIMARY KEY, far int, CONSTRAINT `f;k'"` FOREIGN KEY (far)
  REFERENCES `-t %s @x:y;z 'q' "dq" ``b`` \ dot.ted/ ß` (`-c %s
; 'q' "dq" \ ü`) ON UPDATE CASCADE ON DELETE SET NULL);
INSERT INTO `new
line` VALUES (1, 1), (2, NULL);
CREATE TABLE `--version` (`--` int); INSERT INTO `--version` VALUES (1);
CREATE TABLE `table` (`key` int, `a.b` int); CREATE TABLE `%` (a int); CREATE TABLE `Ünïcode 表` (`ä 列` text);
INSERT INTO `Ünïcode 表` VALUES ('é');

-- Foreign keys in a cycle, to the table itself, and to a table that comes later.
CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL); CREATE TABLE egg (id int PRIMARY KEY, hen int NOT NULL);
SET foreign_key_checks = 0;
ALTER TABLE egg ADD CONSTRAINT `of; hen` FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE CASCADE;
ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg (id) ON UPDATE CASCADE;
INSERT INTO egg VALUES (1, 1), (2, 1); INSERT INTO hen VALUES (1, 2);
SET foreign_key_checks = 1;
CREATE TABLE node (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES node (id));
INSERT INTO node VALUES (2, NULL), (3, 2); INSERT INTO node VALUES (1, 3);

-- Partitions.
CREATE TABLE sale (id int NOT NULL, day date NOT NULL, kind varchar(9), PRIMARY KEY (id, day))
  PARTITION BY RANGE (TO_DAYS(day)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (
    PARTITION p20 VALUES LESS THAN (TO_DAYS('2021-01-01')) COMMENT 'it''s; 2020', PARTITION `p 21` VALUES LESS THAN MAXVALUE);
INSERT INTO sale SELECT seq, '2020-06-01' + INTERVAL seq * 20 DAY, ELT(1 + seq % 3, 'a', 'b') FROM seq_1_to_60;
CREATE TABLE listed (kind varchar(9) NOT NULL) PARTITION BY LIST COLUMNS (kind) (
  PARTITION p0 VALUES IN ('a', 'o''k'), PARTITION p1 DEFAULT);
INSERT INTO listed VALUES ('a'), ('o''k'), ('z');
CREATE TABLE keyed (id int PRIMARY KEY) PARTITION BY KEY () PARTITIONS 3; INSERT INTO keyed VALUES (1), (2), (3), (4);

-- Other engines.
CREATE TABLE isam (id int PRIMARY KEY, t text, FULLTEXT (t)) ENGINE = MyISAM CHECKSUM = 1 DELAY_KEY_WRITE = 1 MAX_ROWS = 999;
INSERT INTO isam VALUES (1, 'one'), (2, 'two');
CREATE TABLE aria (id int PRIMARY KEY, g geometry NOT NULL, SPATIAL INDEX (g)) ENGINE = Aria TRANSACTIONAL = 1;
INSERT INTO aria VALUES (1, POINT(1, 2));
CREATE TABLE in_memory (id int, KEY (id) USING BTREE) ENGINE = MEMORY; INSERT INTO in_memory VALUES (1), (1);
CREATE TABLE as_csv (a int NOT NULL, b varchar(9) NOT NULL) ENGINE = CSV; INSERT INTO as_csv VALUES (1, '",;\n');
CREATE TABLE isam_too (id int PRIMARY KEY) ENGINE = MyISAM; INSERT INTO isam_too VALUES (1), (3);
CREATE TABLE merged (id int NOT NULL, KEY (id)) ENGINE = MERGE UNION = (isam_too);

-- Sequences.
CREATE SEQUENCE odd START WITH 7 MINVALUE -100 MAXVALUE 50 INCREMENT BY -3 CACHE 5 CYCLE; SELECT NEXTVAL(odd), NEXTVAL(odd);
CREATE SEQUENCE `never; used` START WITH 1000000000000 NOCACHE;

-- Tables that keep their history.
CREATE TABLE versioned (id int PRIMARY KEY, t varchar(9)) WITH SYSTEM VERSIONING;
SET timestamp = 1600000000.25; INSERT INTO versioned VALUES (1, 'first'), (2, 'gone');
SET timestamp = 1600000001.5; UPDATE versioned SET t = 'second' WHERE id = 1; DELETE FROM versioned WHERE id = 2;
CREATE TABLE remembered (
  id int PRIMARY KEY, t varchar(9) WITHOUT SYSTEM VERSIONING, n int, since timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE,
  until timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, until)
) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION old HISTORY, PARTITION now CURRENT);
INSERT INTO remembered (id, t, n) VALUES (1, 'a', 1);
SET timestamp = 1600000002.75; UPDATE remembered SET n = 2, t = 'b'; SET timestamp = DEFAULT;

-- Views; the first of them is made of the second, the second of a table.
CREATE SQL SECURITY INVOKER VIEW z_rooms AS SELECT room, s FROM periods WHERE room > 0 WITH LOCAL CHECK OPTION;
CREATE ALGORITHM = MERGE VIEW `a view; on "views"` (`the ``room`, said) AS SELECT room, ';''"\\ 😀' FROM z_rooms;
CREATE VIEW zz_checked AS SELECT * FROM z_rooms WHERE room < 9 WITH CASCADED CHECK OPTION;
CREATE ALGORITHM = TEMPTABLE VIEW sums AS SELECT kind, COUNT(*) AS n, SUM(COUNT(*)) OVER () AS total FROM sale GROUP BY kind;
CREATE VIEW `new
view` AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n;

-- Routines, triggers and events.
CREATE TABLE journal (n int AUTO_INCREMENT PRIMARY KEY, said text);
DELIMITER //
CREATE FUNCTION `f; "1"`(a int, b text CHARACTER SET latin1) RETURNS varchar(99) CHARSET utf8mb4 COLLATE utf8mb4_bin
  DETERMINISTIC NO SQL SQL SECURITY INVOKER COMMENT 'it''s; a \\ function\nof 😀'
BEGIN
  -- it's a comment with a quote; and "another", `too
  # DELIMITER ;;
  /* ' // ;; " ` */
  DECLARE c text DEFAULT ';;''"\\//';
  IF a > 1 THEN
DELIMITER_: LOOP SET c = CONCAT(c, '
DELIMITER $$
', "-- 'no' comment", '😀'); LEAVE DELIMITER_; END LOOP; END IF;
  RETURN CONCAT(c, b, '/*', 1 -- 2
    , '*/');
END //
CREATE PROCEDURE p(IN a int, INOUT b decimal(9,2), OUT `c ;` varchar(9)) READS SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION, 1051 SET `c ;` = 'failed';
  SELECT COUNT(*) INTO b FROM sale WHERE kind = a; SET `c ;` = 'ok';
END //
SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES' //
CREATE PROCEDURE "an;si"() BEGIN SELECT '\' || 'a' AS "q;'", ';;' ; END //
CREATE FUNCTION backslash() RETURNS text RETURN '\' //
SET sql_mode = 'ORACLE' //
CREATE PACKAGE pack AS
  FUNCTION f RETURN INT; PROCEDURE p(a INT); END //
CREATE PACKAGE BODY pack AS
  total INT := 0;
  FUNCTION f RETURN INT AS BEGIN RETURN total; END;
  PROCEDURE p(a INT) AS BEGIN total := total + a; SELECT ';;//''' FROM dual; END;
END //
SET sql_mode = 'STRICT_TRANS_TABLES' //
CREATE TRIGGER `t; 1` BEFORE INSERT ON node FOR EACH ROW SET NEW.parent = IF(NEW.id > 1000, NULL, NEW.parent) //
CREATE TRIGGER z_first AFTER INSERT ON node FOR EACH ROW
BEGIN
  -- it's the first 😀 ;;
  INSERT INTO journal (said) VALUES (CONCAT('z ''😀''; ', NEW.id));
END //
CREATE TRIGGER a_second AFTER INSERT ON node FOR EACH ROW FOLLOWS z_first INSERT INTO journal (said) VALUES ('a') //
CREATE TRIGGER m_between AFTER INSERT ON node FOR EACH ROW PRECEDES a_second INSERT INTO journal (said) VALUES ('m') //
CREATE TRIGGER `tr``ig"g'er` AFTER DELETE ON `new
line` FOR EACH ROW INSERT INTO journal (said) VALUES (OLD.id) //
SET sql_mode = 'ANSI_QUOTES' //
CREATE TRIGGER ansi BEFORE UPDATE ON "new
line" FOR EACH ROW SET NEW."far" = OLD."far" //
SET sql_mode = '' //
INSERT INTO node VALUES (4, 3) //
SET time_zone = '+03:00' //
CREATE EVENT `e; 1` ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2036-01-01 00:00:00' ENDS '2037-01-01 00:00:00'
  ON COMPLETION PRESERVE COMMENT 'it''s; an 😀 event' DO BEGIN DELETE FROM journal; /* ; ' */ SET @a = ';''// '; END //
SET time_zone = '+00:00' //
CREATE EVENT once ON SCHEDULE AT '2037-05-06 07:08:09' DISABLE DO INSERT INTO journal (said) VALUES ('once') //
DELIMITER ;
