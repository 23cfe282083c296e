"""The floor: tables, database, one module of queries per noun, migrations. Only this package speaks SQL."""
