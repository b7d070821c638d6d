/* Two Rust static libraries in one program, each with its own standard library: both work, and panics are caught in both. */
#include "check.h"

#ifdef __cplusplus
extern "C"
#endif
int second_catches_a_panic(void);

int main(void)
{
    vixp2p_node *node = polled("guest");
    CHECK(second_catches_a_panic() == 1);
    CHECK(vixp2p_node_append(node, "x", 1, NULL) == VIXP2P_OK);
    vixp2p_node_destroy(node);
    return 0;
}
