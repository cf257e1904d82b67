-- What only versions before 0020 call: their `flush`, which knows no trials and no loans, still stood beside the one of today.
DROP FUNCTION IF EXISTS flush(
  uuid, bigint, text, integer[], bigint[],
  integer[], uuid[], text[], integer[], integer[], text[], integer[], integer[], smallint[], text[], bytea[], bytea[], bytea[], text[],
  integer[], integer[], integer[], text[], text[], bytea[],
  integer[], uuid[], text[], text[], text[], bytea[], double precision[],
  integer[], integer[], uuid[], text[],
  integer[], uuid[]);
