// SPDX-License-Identifier: Apache-2.0
// main() of every test program. Its exit status is 4 when all cases were skipped, which ctest reports as "Skipped".
#define CATCH_CONFIG_RUNNER
#include "support/support.hpp"

#ifdef DOPPEL_CATCH2_WITHOUT_SKIP
namespace {

struct CountCases : Catch::TestEventListenerBase {
    using TestEventListenerBase::TestEventListenerBase;
    void testCaseEnded(const Catch::TestCaseStats&) override { ++cases; }
    static inline int cases = 0;
};
CATCH_REGISTER_LISTENER(CountCases)

}  // namespace
#endif

int main(int argc, char** argv) {
    const int result = Catch::Session().run(argc, argv);
#ifdef DOPPEL_CATCH2_WITHOUT_SKIP
    if (result == 0 && CountCases::cases > 0 && doppel::test::skipped_cases == CountCases::cases) return 4;
#endif
    return result;
}
