/**
 * @file p2p.hpp
 * @brief The API of the Vix C++ module `vix::p2p`, in C++20 above vixp2p.h: programs written for it compile unchanged.
 *
 * Value types speak the module's own formats (protocol 1.0). What runs is vixp2p's engine: links are authenticated and sealed, which
 * programs need do nothing for. docs/migrating.md says what is different.
 */
#ifndef VIX_P2P_HPP
#define VIX_P2P_HPP

#include <vix/p2p/all.hpp>

#endif
