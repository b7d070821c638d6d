mod downgrade;
mod identity;
mod later;
mod points;
mod records;
mod replay;
mod support;
mod tamper;
