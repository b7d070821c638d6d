//! The attack suite: an active man in the middle against the pure machines, in both roles, with keys of its own and the arithmetic of
//! PROTOCOL.md in its hands (`support`). What a test is called is what an attacker fails to do.
//!
//! | attack | file | tests, by the front of their names |
//! |---|---|---|
//! | H1 replay of a message, of a whole run, of a session | `replay` | `h1_*` |
//! | H2 reflection, a node led to itself (Selfie), proofs of the wrong role | `replay` | `h2_*` |
//! | H3 identity misbinding, unknown key share, swapped boxes, altered claims | `identity` | `h3_*` |
//! | H4 key-compromise impersonation | `identity` | `h4_*` |
//! | H5 downgrade of suites, versions, key shares, pre-shared key | `downgrade` | `h5_*` |
//! | H6 every bit of the three messages, a byte more or less | `tamper` | `h6_*` |
//! | H7 small-order and second encodings of points, keys out of range, S >= L | `points` | `h7_*` |
//! | H8 long-term secrets stolen later | `later` | `h8_*` |
//! | H9 plaintext, altered headers, reordered, cut, lost, doubled, spliced records | `records` | `h9_*` |
//! | H10 forged epochs and numbers | `records` | `h10_*` |
//! | H11 what failures look like from outside, over machines and sockets | `outside` | `h11_*` |
//! | H12 a key and nonce twice | `later` | `h12_*` |
//! | H13 clocks | `later` | `h13_*` |
//! | H14 unknown, changed, revoked, unexpected keys (with sockets: `tests/node_trust.rs`) | `identity` | `h14_*` |
//! | key updates altered, replayed, crossed, out of turn, endless; healing | `updates` | all |
//! | secrets in log lines, events, errors, Debug | `secrets` | all |
//! | secrets in memory that was given back | `tests/wiped.rs` | all |
//!
//! Two tests are ignored for their length: `cargo test --release --test attacks -- --ignored`.

#[path = "../common/mod.rs"]
mod common;
mod downgrade;
mod identity;
mod later;
mod outside;
mod points;
mod records;
mod replay;
mod secrets;
mod support;
mod tamper;
mod updates;
