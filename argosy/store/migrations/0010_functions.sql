-- From here on the functions' texts are in functions/: what an older version of Argosy knows of them is not put back.
SELECT 1;
