mod downgrade;
mod identity;
mod replay;
mod support;
mod tamper;
