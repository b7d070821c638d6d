// A second file of one program with the whole API in it, as every real program has: nothing may be defined twice.
#include <vix/p2p.hpp>

vix::p2p::MessageId id_from_here();
vix::p2p::MessageId id_from_here() { return vix::p2p::pack::next_message_id(); }
