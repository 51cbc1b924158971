-- Print a query's result for each table: its name, the number of its rows and their MD5, as JSON.
-- How rows look as text depends on settings, and a database may bring its own.
SET search_path = pg_catalog;
SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex';
SELECT format(
    CASE WHEN relispopulated
      THEN $$SELECT json_build_array(%L, count(*), md5(coalesce(string_agg((r.*)::text, E'\n'
             ORDER BY (r.*)::text COLLATE "C"), ''))) FROM %I.%I AS r$$
      ELSE 'SELECT json_build_array(%L, -1, $$not populated$$)'
    END,
    format('%I.%I', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'm') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY nspname, relname
\gexec
