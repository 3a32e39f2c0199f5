"""Publish a whole table of predictions as precomputed annotation sources for any viewer.

The steps, in order (`publishing`): find the inputs and stage what is not Parquet (`inputs`,
`staging`, `cave_input`), read and check their rows (`rows`), plan levels and shards (`plan`),
partition the rows by shard (`spill`), encode each shard (`shards`), and write the manifest.
`source` reads a published source, `verify` checks one with other readers, `serving` serves one.
"""
