// One counter, one global log, whichever file of the program asks.
#include <vix/p2p.hpp>

#include "check.h"

vix::p2p::MessageId id_from_here();

int main()
{
    CHECK(vix::p2p::pack::next_message_id() == 1 && id_from_here() == 2 && vix::p2p::pack::next_message_id() == 3);
    return 0;
}
