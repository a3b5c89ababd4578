// DuckDB's static libraries come as Go modules; scripts/setup downloads them and checks go.sum's hashes itself.
module tributary/duckdb

go 1.19

require (
	github.com/duckdb/duckdb-go-bindings/lib/linux-amd64 v0.10506.0
	github.com/duckdb/duckdb-go-bindings/lib/linux-arm64 v0.10506.0
)
