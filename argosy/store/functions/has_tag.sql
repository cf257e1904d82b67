-- Whether a turn's tags (a JSON array of strings, as a gateway wrote them) hold one. An older version took any bytes for tags:
-- they hold none.
CREATE OR REPLACE FUNCTION has_tag(p_tags bytea, p_tag text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN convert_from(p_tags, 'UTF8')::jsonb ? p_tag;
EXCEPTION WHEN data_exception THEN
  RETURN false;
END
$$;
