//! nakivo-graph-connector
