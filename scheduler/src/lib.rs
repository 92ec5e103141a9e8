//! nakivo-scheduler
