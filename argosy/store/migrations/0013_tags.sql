-- functions/has_tag.sql
SELECT 1;
