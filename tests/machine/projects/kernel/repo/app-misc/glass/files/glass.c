#include <linux/init.h>
#include <linux/module.h>

static int __init glass_init(void)
{
	pr_info("glass: answer %d\n", 6 * 7);
	return 0;
}

static void __exit glass_exit(void)
{
}

module_init(glass_init);
module_exit(glass_exit);
MODULE_LICENSE("GPL");
